"""What a plugin must be before it is registered, so that whatever could never work is told with its reason.

pluggy itself takes a misspelled hook, an `async` one and one with keyword-only parameters without a word, and
fails, or not even that, when they would be called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

import pluggy

from deckwright import hooks
from deckwright._version import __version__
from deckwright.config.settings import did_you_mean
from deckwright.errors import PluginError

_NOT_PLAIN = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class _Manager(pluggy.PluginManager):
    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        # pluggy looks at each attribute of a plugin through `inspect`, lest a property run code. A module has
        # none, and with the plain look-up a thousand of them load in half the time.
        if not isinstance(plugin, ModuleType):
            return super().parse_hookimpl_opts(plugin, name)
        try:
            function = getattr(plugin, name, None)
            return getattr(function, f"{hooks.PROJECT}_impl", None) if inspect.isroutine(function) else None
        except Exception:  # noqa: BLE001 - what a module imported may be anything; a hook is a plain function
            return None


def require_version(versions: object) -> None:
    """Make sure that a plugin is for this version of Deckwright.

    Args:
        versions: What it says of that, as in `">=0.1,<1"`; empty when it says nothing.

    Raises:
        PluginError: It is for others; or it says what cannot be read.
    """
    if not versions:
        return
    # Not before there is a plugin that says so.
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import Version

    try:
        specifiers = SpecifierSet(str(versions))
    except InvalidSpecifier:
        raise PluginError(
            f"requires_deckwright is {versions!r}, which names no versions",
            hint='It should be such as ">=0.1,<1".',
        ) from None
    if not specifiers.contains(__version__, prereleases=True):
        lower = [
            Version(one.version.removesuffix(".*"))
            for one in specifiers
            if one.operator in (">", ">=", "~=", "==")
        ]
        is_older = any(Version(__version__) < version for version in lower)
        raise PluginError(
            f"is for Deckwright {versions}, and this is {__version__}",
            hint="Update Deckwright." if is_older else "Update the plugin.",
        )


def new_manager() -> pluggy.PluginManager:
    """Return a manager that knows Deckwright's hooks and no plugin yet."""
    manager = _Manager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    return manager


class PluginChecks:
    """Checks plugins against the hooks of a manager."""

    def __init__(self, manager: pluggy.PluginManager) -> None:
        self._manager = manager
        self._parameters = {
            name: tuple(inspect.signature(function).parameters)
            for name, function in vars(hooks).items()
            if manager.parse_hookspec_opts(hooks, name)
        }

    def hooks_of(self, plugin: object) -> tuple[str, ...]:
        """Return the hooks that a plugin implements.

        Raises:
            PluginError: One of them could never be called, or there is none.
        """
        found: list[str] = []
        problems: list[str] = []
        for attribute in dir(plugin):
            options = self._manager.parse_hookimpl_opts(plugin, attribute)
            if options is not None:
                hook = options.get("specname") or attribute
                found.append(hook)
                problems += self._faults_of(hook, getattr(plugin, attribute), options)
        if not found:
            unmarked = [name for name in self._parameters if inspect.isroutine(getattr(plugin, name, None))]
            problems = [f"{name} is not marked with @hookimpl" for name in unmarked] or [
                "implements no hook; mark one with @hookimpl, or, if it is no plugin, let its name begin with _"
            ]
        if problems:
            raise PluginError("; ".join(problems))
        return tuple(found)

    def deprecated(self, implemented: Iterable[str]) -> list[str]:
        """Return a remark for each of these hooks that will go, with what takes its place.

        Such a hook is marked `@hookspec(warn_on_impl=DeprecationWarning("use the_other instead"))`: pluggy, too,
        warns of it then, which test runners show to the plugin's author.
        """
        found = []
        for hook in implemented:
            specification = getattr(self._manager.hook, hook).spec
            if specification.warn_on_impl:
                found.append(f"implements {hook}, which is deprecated: {specification.warn_on_impl}")
        return found

    def _faults_of(
        self, hook: str, function: Callable[..., Any], options: Mapping[str, Any]
    ) -> Iterator[str]:
        if hook not in self._parameters:
            yield f"{hook} is not a hook of Deckwright{did_you_mean(hook, self._parameters)}"
            return
        if options.get("wrapper") or options.get("hookwrapper"):
            yield f"{hook} is a wrapper; Deckwright's hooks take none"
        taken = self._parameters[hook]
        if _is_plain(function, taken):
            return
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            yield f"{hook} is async; a hook is a plain function"
        its_parameters = f"its parameters are {', '.join(taken) or 'none'}"
        parameters = inspect.signature(function).parameters.values()
        collecting = [p for p in parameters if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        if collecting and len(collecting) == len(parameters):
            yield f"{hook} takes {', '.join(map(str, collecting))}, to which nothing is given; {its_parameters}"
        for parameter in parameters:
            if parameter.kind is parameter.KEYWORD_ONLY:
                yield f"{hook} takes {parameter.name!r} by keyword only, and would never get it"
            elif parameter not in collecting and parameter.name not in taken:
                yield f"{hook} takes {parameter.name!r}; {its_parameters}"


def _is_plain(function: Callable[..., Any], taken: tuple[str, ...]) -> bool:
    """Tell an ordinary implementation at a glance; a signature takes fifty times as long to make."""
    code = getattr(function, "__code__", None)
    if (
        code is None
        or hasattr(function, "__wrapped__")
        or code.co_kwonlyargcount
        or code.co_flags & _NOT_PLAIN
    ):
        return False
    return set(code.co_varnames[: code.co_argcount]).issubset(taken)
