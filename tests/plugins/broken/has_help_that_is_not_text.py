"""Broken at creation: it raises; the help of its settings is not text, and one default is a key."""

import attrs

from deckwright import MediaProvider, ProviderInfo, hookimpl


@attrs.define
class Numbered:
    api_key: str = attrs.field(factory=lambda: "broken-s3cr3t-9", metadata={"help": 5})
    depth: int = attrs.field(default=1, metadata={"help": None})


class Explaining(MediaProvider):
    supported_types = ("audio",)
    config_class = Numbered

    def _setup_from_config(self):
        raise ArithmeticError("the numbers do not add up")

    def _generate_media_impl(self, request):
        raise NotImplementedError


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "has_help_that_is_not_text", config_class=Numbered)]


@hookimpl
def register_media_provider(type, name, config):
    return Explaining(config) if (type, name) == ("audio", "has_help_that_is_not_text") else None
