"""Broken at describe: it raises when it is asked what it offers."""

from deckwright import hookimpl


@hookimpl
def describe_media_providers():
    print("broken: describing")
    return [{}["bell"]]
