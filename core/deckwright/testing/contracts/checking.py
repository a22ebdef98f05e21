"""What the contracts share: loading the plugin that is tested, and failing with words for its author."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NoReturn, TypeVar

import pytest

from deckwright.errors import CATCHABLE
from deckwright.plugins import PluginRecord, Plugins, PluginSettings
from deckwright.plugins.discovery import BUILT_INS
from deckwright.plugins.timeouts import OverdueError, within
from deckwright.tracebacks import error_location, format_error

T = TypeVar("T")

# A type, name, word or identifier that nobody has.
UNKNOWN = "no-such-thing-as-this"
# What would fail many tests of a run, by plugin and cause, and the test that tells it.
_TOLD = pytest.StashKey[dict[object, str]]()


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
        seconds: How long each call of the plugin's code may take.
    """

    # Not ClassVars: mypy would not let a module be one.
    plugin: object
    beside: Sequence[object] = ()
    seconds: ClassVar[float] = 60
    _found: ClassVar[tuple[object, Plugins, PluginRecord] | None] = None

    @pytest.fixture(autouse=True)
    def _what_is_told(self, request: pytest.FixtureRequest) -> None:
        self._told = request.session.stash.setdefault(_TOLD, {})
        self._test = request.node.nodeid
        if self._is_late:
            pytest.skip(f"a call did not come back: see {self._told[type(self)]}")

    def _loaded(self) -> tuple[Plugins, PluginRecord]:
        """Return all plugins, and the record of this one; fail the test when it is not loaded."""
        cls = type(self)
        # One that a base class has loaded may be another plugin.
        if cls._found is None or cls._found[0] is not cls:
            cls._found = (cls, *self._ask("loading the plugin", lambda: loaded(cls.plugin, cls.beside)))
        _, plugins, record = cls._found
        if record.status != "loaded":
            self._fail_once("loading", faults_of(record))
        return plugins, record

    def _ask(self, doing: str, call: Callable[[], T]) -> T:
        """Call code of the plugin, and fail the test when that takes too long."""
        try:
            return within(self.seconds, call, doing)
        except OverdueError:
            self._told[type(self)] = self._test
            fail(
                f"{doing} took longer than {self.seconds:g} s: give a time-out to whatever it waits for. "
                "If it needs that long, set `seconds` in the class of tests."
            )

    @property
    def _is_late(self) -> bool:
        """Whether something did not come back: then nothing more of this class is tried, and waited for."""
        return type(self) in self._told

    def _fail_once(self, cause: object, message: str) -> NoReturn:
        """Fail the first test that meets with a cause; skip those that meet with it later."""
        first = self._told.setdefault((id(self.plugin), cause), self._test)
        if first != self._test:
            pytest.skip(f"see {first}")
        fail(message)


class Limited:
    """A provider each of whose methods may take so long and no longer.

    Args:
        provider: The provider.
        label: What it is called in messages.
        ask: Calls a function, and fails the test when that takes too long.
    """

    def __init__(self, provider: Any, label: str, ask: Callable[[str, Callable[[], Any]], Any]) -> None:
        self._provider = provider
        self._label = label
        self._ask = ask

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._provider, name)
        if not callable(found):
            return found
        return lambda *given, **named: self._ask(f"{name} of {self._label}", lambda: found(*given, **named))


def fail(message: str) -> NoReturn:
    """Fail the test with a message for the plugin's author, and with nothing else."""
    raise pytest.fail.Exception(message, pytrace=False) from None


def require(condition: object, message: str) -> None:
    """Fail the test with a message for the plugin's author, unless the condition holds."""
    if not condition:
        fail(message)


def said(error: BaseException) -> str:
    """Return an error in words, without a full stop, and with the place in the plugin where it arose."""
    place = error_location(error)
    return f"{format_error(error).rstrip('.')}{f', at {place}' if place else ''}"


@contextmanager
def answering(doing: str, mend: str = "") -> Iterator[None]:
    """Fail the test, with the place in the plugin, when the `with` block raises anything."""
    try:
        yield
    except CATCHABLE as error:
        fail(f"{doing} raised {said(error)}. {mend}".strip())


def faults_of(record: PluginRecord) -> str:
    """Return what is wrong with a plugin, for its author, to whom it is no mend to leave it out."""
    faults = [
        problem.what if problem.mend == record.leave_out else str(problem) for problem in record.problems
    ]
    return f"The plugin {record.name} has faults: {'; '.join(faults)}"
