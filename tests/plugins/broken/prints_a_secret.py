"""Broken at use: it prints its key, and raises an error that contains it."""

import logging
import sys

from deckwright import MediaProvider, ProviderInfo, hookimpl


class Indiscreet(MediaProvider):
    supported_types = ("audio",)

    def _setup_from_config(self):
        print("broken: my key is", self.config["api_key"])
        logging.getLogger("broken").warning("my key is %s", self.config["api_key"])

    def _generate_media_impl(self, request):
        print("broken: still is", self.config["api_key"], file=sys.stderr)
        raise ValueError(f"the key {self.config['api_key']} was refused")


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "prints_a_secret")]


@hookimpl
def register_media_provider(type, name, config):
    return Indiscreet(config) if (type, name) == ("audio", "prints_a_secret") else None
