"""What all contracts share: loading the plugin under test, and failures written for its author."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NoReturn, TypeVar

import pytest

from deckwright.errors import CATCHABLE
from deckwright.plugins import PluginRecord, Plugins, PluginSettings
from deckwright.plugins.discovery import BUILT_INS
from deckwright.plugins.timeouts import PluginTimeoutError, call_with_timeout
from deckwright.tracebacks import error_location, format_error

T = TypeVar("T")

# A type, name, word or identifier that does not exist.
UNKNOWN = "no-such-thing-as-this"
# Causes that would fail many tests of a session, and for each the test that reports it.
_REPORTED = pytest.StashKey[dict[object, str]]()


def load_plugin(plugin: object, others: Sequence[object] = ()) -> tuple[Plugins, PluginRecord]:
    """Load a plugin with the built-in ones and `others`; return all of them, and the record of this plugin."""
    name = str(getattr(plugin, "__name__", None) or type(plugin).__name__)
    is_built_in = name.startswith(f"{BUILT_INS}.") and sys.modules.get(name) is plugin
    # Preferred, so that a built-in provider of the same name is not tested instead.
    settings = PluginSettings(installed=False, only=[], prefer=[name])
    plugins = Plugins(settings, objects=[*([] if is_built_in else [plugin]), *others])
    [record] = [
        record
        for record in plugins.records
        if record.name == name and (is_built_in or record.provenance.kind == "object")
    ]
    return plugins, record


class PluginTests:
    """Tests of a plugin, which is loaded once for each class of tests.

    Attributes:
        plugin: The plugin: a module or object with hooks.
        other_plugins: Plugins to load with it, such as one that adds the type of its providers.
        timeout: How many seconds each call of the plugin's code may take.
    """

    # Not ClassVars: mypy does not accept a module as one.
    plugin: object
    other_plugins: Sequence[object] = ()
    timeout: ClassVar[float] = 60
    _found: ClassVar[tuple[object, Plugins, PluginRecord] | None] = None

    @pytest.fixture(autouse=True)
    def _reported_causes(self, request: pytest.FixtureRequest) -> None:
        self._reported = request.session.stash.setdefault(_REPORTED, {})
        self._test = request.node.nodeid
        if self._has_timed_out:
            pytest.skip(f"a call did not return: see {self._reported[type(self)]}")

    def _loaded(self) -> tuple[Plugins, PluginRecord]:
        """Return all plugins, and the record of this one; fail the test if it is not loaded."""
        cls = type(self)
        # What a base class has loaded may be another plugin.
        if cls._found is None or cls._found[0] is not cls:
            found = self._call("loading the plugin", lambda: load_plugin(cls.plugin, cls.other_plugins))
            cls._found = (cls, *found)
        _, plugins, record = cls._found
        if record.status != "loaded":
            self._fail_once("loading", describe_problems(record))
        return plugins, record

    def _call(self, action: str, call: Callable[[], T]) -> T:
        """Call code of the plugin; fail the test if that takes too long."""
        try:
            return call_with_timeout(self.timeout, call, action)
        except PluginTimeoutError:
            self._reported[type(self)] = self._test
            fail(
                f"{action} took longer than {self.timeout:g} s. Add a timeout to the operation that blocks. "
                "If it needs more time, set `timeout` in the test class."
            )

    @property
    def _has_timed_out(self) -> bool:
        """Whether a call did not return: the other tests of the class are skipped, so that none waits again."""
        return type(self) in self._reported

    def _fail_once(self, cause: object, message: str) -> NoReturn:
        """Fail the first test that has this cause; skip the tests that have it later."""
        first = self._reported.setdefault((id(self.plugin), cause), self._test)
        if first != self._test:
            pytest.skip(f"see {first}")
        fail(message)


class TimedProvider:
    """A provider whose methods fail the test when they take too long.

    Args:
        provider: The provider.
        label: Its name in messages.
        call: Calls a function, and fails the test when that takes too long.
    """

    def __init__(self, provider: Any, label: str, call: Callable[[str, Callable[[], Any]], Any]) -> None:
        self._provider = provider
        self._label = label
        self._call = call

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._provider, name)
        if not callable(found):
            return found
        return lambda *args, **kwargs: self._call(f"{name} of {self._label}", lambda: found(*args, **kwargs))


def fail(message: str) -> NoReturn:
    """Fail the test with a message for the plugin's author, without a traceback."""
    raise pytest.fail.Exception(message, pytrace=False) from None


def require(condition: object, message: str) -> None:
    """Fail the test with a message for the plugin's author, unless the condition holds."""
    if not condition:
        fail(message)


def describe_error(error: BaseException) -> str:
    """Return an error as text, without a full stop, and with the line of the plugin that raised it."""
    location = error_location(error)
    return f"{format_error(error).rstrip('.')}{f', at {location}' if location else ''}"


@contextmanager
def must_not_raise(call: str, hint: str = "") -> Iterator[None]:
    """Fail the test, with the line of the plugin, if the `with` block raises anything."""
    try:
        yield
    except CATCHABLE as error:
        fail(f"{call} raised {describe_error(error)}. {hint}".strip())


def describe_problems(record: PluginRecord) -> str:
    """Return what is wrong with a plugin, without the hint to disable it, which does not help its author."""
    problems = [
        problem.message if problem.hint == record.disable_hint else f"{problem.message}\n  {problem.hint}"
        for problem in record.problems
    ]
    return f"The plugin {record.name} has problems: {'; '.join(problems)}"
