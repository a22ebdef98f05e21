"""Broken at describe: it never returns."""

import threading

from deckwright import hookimpl


@hookimpl
def describe_media_providers():
    threading.Event().wait()
