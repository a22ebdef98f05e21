"""Calling the hooks of plugins one by one: what one raises is recorded, and the others' answers are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pluggy

from deckwright.errors import CATCHABLE
from deckwright.plugins.answers import checked_answers
from deckwright.plugins.loading import Loaded
from deckwright.plugins.records import PluginRecord, PluginReporter
from deckwright.plugins.timeouts import PluginTimeoutError, call_with_timeout

T = TypeVar("T")

_OBSERVING_HOOKS = ("provider_registered", "provider_failed", "media_generated")


class PluginCalls:
    """Calls the hooks of loaded plugins.

    Args:
        loaded: The plugins.
        timeout: How many seconds a plugin that is not built in may take for each call; None for no timeout.
        reporter: Takes what is wrong with them.
    """

    def __init__(self, loaded: Loaded, timeout: float | None, reporter: PluginReporter) -> None:
        self.timeout = timeout
        self._hooks = loaded.manager.hook
        self._records = loaded.records
        self._reporter = reporter
        # Plugins that took too long once, and are not called again.
        self._abandoned: set[str] = set()
        self._observers = {
            hook: [
                (plugin, self.guarded(plugin, hook, _by_keyword(found)))
                for plugin, found in self.implementations(hook)
            ]
            for hook in _OBSERVING_HOOKS
        }

    def implementations(self, hook: str) -> Iterator[tuple[PluginRecord, pluggy.HookImpl]]:
        """Yield each plugin's implementation of a hook: `tryfirst` ones, others, `trylast` ones, each by name."""
        order = {name: position for position, name in enumerate(self._records)}
        found = getattr(self._hooks, hook).get_hookimpls()
        for implementation in sorted(found, key=lambda one: (-rank_of(one), order[one.plugin_name])):
            yield self._records[implementation.plugin_name], implementation

    def makers(self) -> Iterator[tuple[PluginRecord, int, Callable[..., Any]]]:
        """Yield each plugin's `register_media_provider`, which is called by keyword, with its rank."""
        hook = "register_media_provider"
        for plugin, implementation in self.implementations(hook):
            yield plugin, rank_of(implementation), self.guarded(plugin, hook, _by_keyword(implementation))

    def answers(self, hook: str, kind: type[T]) -> Iterator[tuple[PluginRecord, int, T]]:
        """Yield each record that the plugins return from a hook that returns several, with the hook's rank."""
        for plugin, implementation in self.implementations(hook):
            function = implementation.function
            try:
                call = self.guarded(plugin, hook, lambda function=function: checked_answers(function(), kind))
                records = call()
            except PluginTimeoutError:
                continue  # reported already
            except CATCHABLE as error:  # one plugin's fault must not hide the others' answers
                self._reporter.raised(plugin, error, hook)
                continue
            for record in records:
                yield plugin, rank_of(implementation), record

    def guarded(self, plugin: PluginRecord, doing: str, function: Callable[..., T]) -> Callable[..., T]:
        """Return a plugin's function as one that is abandoned when it takes too long, and not called again."""
        if not self.timeout or plugin.is_built_in:
            return function

        def call(*arguments: Any, **named: Any) -> T:
            if plugin.name in self._abandoned:
                raise PluginTimeoutError("was not called again, since it took too long before")
            try:
                return call_with_timeout(self.timeout, lambda: function(*arguments, **named), doing)
            except PluginTimeoutError as error:
                self._abandoned.add(plugin.name)
                self._reporter.error(plugin, error.message, error.hint or "")
                raise

        return call

    def has_observers(self, hook: str) -> bool:
        """Return whether any plugin observes this hook."""
        return bool(self._observers[hook])

    def notify(self, hook: str, **arguments: Any) -> None:
        """Call the observers of a hook; an error of one is reported and changes nothing."""
        for plugin, function in self._observers[hook]:
            try:
                function(**arguments)
            except PluginTimeoutError:
                pass  # reported already
            except CATCHABLE as error:  # an observer's fault must not end the build
                self._reporter.raised(plugin, error, hook)


def rank_of(implementation: pluggy.HookImpl) -> int:
    """Return 1 for a hook that is marked `tryfirst`, -1 for `trylast`, else 0."""
    return int(implementation.tryfirst) - int(implementation.trylast)


def _by_keyword(implementation: pluggy.HookImpl) -> Callable[..., Any]:
    """Return the implementation as a function of all of the hook's parameters, by keyword."""
    names = (*implementation.argnames, *implementation.kwargnames)
    return lambda **given: implementation.function(*[given[name] for name in names])
