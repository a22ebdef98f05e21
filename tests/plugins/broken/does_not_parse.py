"""Broken at import: it is not Python."""

def register_media_provider(type, name
