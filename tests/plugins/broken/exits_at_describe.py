"""Broken at describe: it ends the program when it is asked what it offers."""

from deckwright import hookimpl


@hookimpl
def describe_media_providers():
    raise SystemExit("nothing to offer")
