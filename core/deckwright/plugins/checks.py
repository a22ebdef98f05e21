"""What is checked before a plugin is registered, so that a hook that could never work is reported with the reason.

pluggy itself accepts a misspelled hook, an `async` one and one with keyword-only parameters, and fails only when they
are called, if at all.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any

import pluggy

from deckwright import hooks
from deckwright._version import __version__
from deckwright.config.settings import did_you_mean
from deckwright.errors import PluginError


class _Manager(pluggy.PluginManager):
    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        try:
            # pluggy looks at every name in a module with `inspect`, which takes most of the time of making a registry.
            if isinstance(plugin, ModuleType) and not isinstance(
                vars(plugin).get(name), FunctionType | MethodType
            ):
                return None
            return super().parse_hookimpl_opts(plugin, name)
        except Exception:  # noqa: BLE001 - what a module imports may raise at any look; a hook is a plain function
            return None


def require_version(versions: object) -> None:
    """Make sure that a plugin is for this version of Deckwright.

    Args:
        versions: The versions it is for, as in `">=0.1,<1"`; empty for any.

    Raises:
        PluginError: It is for other versions, or `versions` cannot be read.
    """
    if not versions:
        return
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import Version

    try:
        specifiers = SpecifierSet(str(versions))
    except InvalidSpecifier:
        raise PluginError(
            f"requires_deckwright is {versions!r}, which is not a version specifier",
            hint='Write it as in ">=0.1,<1".',
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
                "implements no hook; mark one with @hookimpl, or, if it is no plugin, begin its name with _"
            ]
        if problems:
            raise PluginError("; ".join(problems))
        return tuple(found)

    def deprecated(self, implemented: Iterable[str]) -> list[str]:
        """Return a message for each deprecated hook, with what replaces it.

        Such a hook is marked `@hookspec(warn_on_impl=DeprecationWarning("use the_other instead"))`, so that pluggy
        warns too, which test runners show to the plugin's author.
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
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            yield f"{hook} is async; a hook is a plain function"
        known = self._parameters[hook]
        usage = f"its parameters are {', '.join(known) or 'none'}"
        parameters = inspect.signature(function).parameters.values()
        collecting = [p for p in parameters if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        if collecting and len(collecting) == len(parameters):
            yield f"{hook} takes {', '.join(map(str, collecting))}, which get nothing; {usage}"
        for parameter in parameters:
            if parameter.kind is parameter.KEYWORD_ONLY:
                yield f"{hook} takes {parameter.name!r} by keyword only, which pluggy never passes"
            elif parameter not in collecting and parameter.name not in known:
                yield f"{hook} takes {parameter.name!r}; {usage}"
