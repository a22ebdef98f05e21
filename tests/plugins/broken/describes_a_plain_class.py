"""Broken at describe: its settings are not an attrs class."""

from deckwright import ProviderInfo, hookimpl


class Settings:
    pitch = 880


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "describes_a_plain_class", config_class=Settings)]
