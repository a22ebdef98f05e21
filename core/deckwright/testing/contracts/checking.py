"""What the contracts share: loading the plugin that is tested, and failing with words for its author."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import pytest

from deckwright.errors import FAULTS, raised_at, told
from deckwright.plugins import PluginRecord, Plugins, PluginSettings
from deckwright.plugins.discovery import BUILT_INS

# A type, name, word or identifier that nobody has.
UNKNOWN = "no-such-thing-as-this"


def loaded(plugin: object, beside: Sequence[object] = ()) -> tuple[Plugins, PluginRecord]:
    """Load a plugin beside the built-in ones and those given; return all of them, and the record of this one."""
    name = str(getattr(plugin, "__name__", None) or type(plugin).__name__)
    is_built_in = name.startswith(f"{BUILT_INS}.") and sys.modules.get(name) is plugin
    # Preferred, lest a built-in provider of the same name be tested in place of its own.
    settings = PluginSettings(installed=False, only=[], prefer=[name])
    plugins = Plugins(settings, objects=[*([] if is_built_in else [plugin]), *beside])
    [record] = [
        record
        for record in plugins.records
        if record.name == name and (is_built_in or record.provenance.kind == "object")
    ]
    return plugins, record


class PluginTests:
    """Tests of a plugin, which is loaded once for all of a class.

    Attributes:
        plugin: The plugin: a module or object with hooks.
        beside: Other plugins that are loaded with it, such as one that adds the type of its providers.
    """

    # Not ClassVars: mypy would not let a module be one.
    plugin: object
    beside: Sequence[object] = ()
    _found: ClassVar[tuple[type[PluginTests], Plugins, PluginRecord] | None] = None

    @classmethod
    def _loaded(cls) -> tuple[Plugins, PluginRecord]:
        # One that a base class has loaded may be another plugin.
        if cls._found is None or cls._found[0] is not cls:
            cls._found = (cls, *loaded(cls.plugin, cls.beside))
        return cls._found[1:]


def require(condition: object, message: str) -> None:
    """Fail the test with a message for the plugin's author, unless the condition holds."""
    if not condition:
        pytest.fail(message, pytrace=False)


@contextmanager
def answering(doing: str, mend: str = "") -> Iterator[None]:
    """Fail the test, with the place in the plugin, when the `with` block raises anything."""
    try:
        yield
    except FAULTS as error:
        place = raised_at(error)
        pytest.fail(
            f"{doing} raised {told(error)}{f', at {place}' if place else ''}. {mend}".strip(), pytrace=False
        )
