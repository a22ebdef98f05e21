"""Plugins: found, checked, loaded one by one, and asked through a thin typed facade over pluggy."""

from deckwright.plugins.manager import Plugins
from deckwright.plugins.records import PluginRecord
from deckwright.plugins.settings import PluginSettings

__all__ = ["PluginRecord", "PluginSettings", "Plugins"]
