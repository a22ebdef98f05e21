"""Broken at describe: it raises when it is asked for its types."""

from deckwright import hookimpl


@hookimpl
def register_provider_types():
    raise NotImplementedError
