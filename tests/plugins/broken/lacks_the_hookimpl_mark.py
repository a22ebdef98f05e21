"""Broken at registration: its hook is not marked."""


def register_media_provider(type, name, config):
    return None
