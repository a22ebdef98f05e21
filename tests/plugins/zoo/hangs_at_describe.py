"""Broken at describe: it never says what it offers."""

import threading

from deckwright import hookimpl


@hookimpl
def describe_media_providers():
    threading.Event().wait()
