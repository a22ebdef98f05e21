"""What is wrong with a configuration and its plugins, or will be: each finding with its place and the mend."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from deckwright.build.media import KINDS, MediaMaker, Missing
from deckwright.build.plan import BuildSettings, unseen
from deckwright.build.words import Word
from deckwright.config import Config
from deckwright.errors import (
    FAULTS,
    ConfigError,
    DeckwrightError,
    NotFoundError,
    PluginError,
    ProviderError,
    raised_at,
    told,
)
from deckwright.extras import missing_packages
from deckwright.plugins import PluginRecord, Plugins, PluginSettings
from deckwright.registry import ProviderFailure, ProviderRegistry
from deckwright.secrets import redact, secret_values

_CORRECT = "Correct it there, or take it out."


@attrs.frozen
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        about: What it is about: a plugin, a configured provider, a place in the configuration.
        what: What is the matter.
        mend: What to do about it; empty where `what` says so itself.
        file: The file of code or of configuration that it is in; empty where there is none.
        is_problem: Whether it keeps anything from working, now or some day; else it is only worth knowing.
    """

    about: str
    what: str
    mend: str = ""
    file: str = ""
    is_problem: bool = True


def examine(config: Config, *, time_limit: float | None = None) -> Iterator[Finding]:
    """Look at a configuration, the plugins, and every provider that is set up.

    Providers of sound and pictures that ask no service and have no key are tried with a word. Nothing is spent,
    and no service is asked for anything.

    Args:
        config: The configuration.
        time_limit: How many seconds a plugin may take each time, where the configuration does not say.
    """
    try:
        registry = ProviderRegistry.from_config(config, strict=False, time_limit=time_limit)
    except ConfigError as error:
        for fault in error.faults:
            yield Finding("configuration", fault, error.hint or _CORRECT, str(config.path or ""))
        plugins = _plugins_alone(config, time_limit)
        yield from _of_plugins(plugins)
        for remark in plugins.unknown_names():
            yield Finding("configuration", remark, _CORRECT, str(config.path or ""))
        return
    with registry:
        # What is tried may show more faults of plugins, so these come after.
        of_providers = [*_of_providers(registry), *_of_closing(registry)]
        yield from _of_plugins(registry.plugins)
        yield from of_providers
        pipeline = config.section("build", BuildSettings).pipeline
        for remark in unseen(registry, pipeline):
            yield Finding("configuration", remark, is_problem=False)


def _plugins_alone(config: Config, time_limit: float | None) -> Plugins:
    try:
        settings = config.section("plugins", PluginSettings)
    except ConfigError:  # told already
        settings = PluginSettings()
    return Plugins(settings, folder=config.folder, time_limit=time_limit)


def _of_plugins(plugins: Plugins) -> Iterator[Finding]:
    conflicts = plugins.conflicts()
    for record in plugins.records:
        for problem in record.problems:
            yield Finding(f"plugin {record}", problem.what, problem.mend, record.file)
        for remark in record.remarks:
            yield Finding(f"plugin {record}", remark, file=record.file, is_problem=False)
    for conflict in conflicts:
        yield Finding("plugins", conflict.what, conflict.mend)


def _of_providers(registry: ProviderRegistry) -> Iterator[Finding]:
    file = str(registry.config.path or "") if registry.config else ""
    for failure in registry.failures:
        at = f", at {failure.raised_at}" if failure.raised_at else ""
        of = f" [plugin {failure.plugin}{at}]" if failure.plugin else at
        yield Finding(failure.where, f"{failure.error}{of}", failure.hint or _mend(registry, failure), file)
    for warning in registry.warnings:
        where, _, what = warning.partition(": ")
        yield Finding(where, what, _CORRECT, file)
    for type in registry.plugins.types:
        for instance, provider in registry[type].items():
            about = f"providers.{type}.{instance}"
            missing = list(_missing(registry, type, instance))
            for what, mend in (*missing, *_unreachable(provider)):
                yield Finding(about, what, mend, file)
            if not missing:
                yield from _tried(registry, type, instance, about)


def _missing(registry: ProviderRegistry, type: str, instance: str) -> Iterator[tuple[str, str]]:
    info = registry.info_of(type, instance)
    missing = missing_packages(info.extra) if info and info.extra else []
    if info and missing:
        yield f"needs {', '.join(missing)}, not installed here", f'Install it: pip install "{info.extra}"'


def _unreachable(provider: Any) -> Iterator[tuple[str, str]]:
    """Yield each path in the settings that cannot be read, or that could not be written."""
    settings: Any = getattr(provider, "settings", None)
    if not attrs.has(settings.__class__):
        return
    for key, path in attrs.asdict(settings, recurse=False).items():
        if isinstance(path, Path):
            there = next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())
            if there == path.absolute():
                if not os.access(path, os.R_OK):
                    yield f"{key}: {path} cannot be read", "Allow it to be read, or choose another."
            elif not there.is_dir():
                yield f"{key}: {path} cannot be there: {there} is a file", "Choose another folder."
            elif not os.access(there, os.W_OK | os.X_OK):
                yield f"{key}: {path} is not there, and cannot be made in {there}", "Choose another folder."


def _tried(registry: ProviderRegistry, type: str, instance: str, about: str) -> Iterator[Finding]:
    """Have a provider make the sound or picture of one word, if that is sure to cost nothing."""
    kind = next((kind for kind in KINDS if kind.type == type), None)
    provider = registry[type][instance]
    info = registry.info_of(type, instance)
    has_secret = any(secret_values(getattr(provider, "config", {})))
    if kind is None or has_secret or (info and info.traits.requests_per_item):
        return
    with tempfile.TemporaryDirectory(prefix="deckwright-") as folder:
        maker = MediaMaker(
            {type: {instance: provider}}, Path(folder), lambda *_: "", lambda *_: None, registry.limited
        )
        word = Word("apple", language="en")
        made = maker.make(word, kind)
    if isinstance(made, Missing) and not isinstance(made.reasons[instance], NotFoundError):
        yield _fault(
            registry, provider, about, f"has no {kind.label} for {word.text!r}: ", made.reasons[instance]
        )


def _of_closing(registry: ProviderRegistry) -> Iterator[Finding]:
    for type in registry.plugins.types:
        for instance, provider in registry[type].items():
            try:
                # A class of the old contract may have no such thing.
                registry.limited(type, instance, getattr(provider, "close", lambda: None))()
            except FAULTS as error:
                yield _fault(registry, provider, f"providers.{type}.{instance}", "cannot be closed: ", error)


def _fault(
    registry: ProviderRegistry, provider: Any, about: str, doing: str, error: BaseException
) -> Finding:
    said, mend = (
        (error.message, error.hint or "") if isinstance(error, DeckwrightError) else (told(error), "")
    )
    if error.__class__ is ProviderError:  # of no kind: whatever its code did not expect
        said, mend = ". ".join(filter(None, (said.removesuffix("."), mend))), ""
    place = raised_at(error)
    secrets = list(secret_values(getattr(provider, "config", {})))
    _, type, instance = about.split(".", 2)
    owner = registry.plugins.owner(type, registry.name_of(type, instance))
    of = f" [plugin {owner}{f', at {place}' if place else ''}]" if owner else ""
    what = redact(f"{doing}{said}{of}", secrets)
    return Finding(about, what, redact(mend or _leave_out(owner), secrets), owner.file if owner else "")


def _mend(registry: ProviderRegistry, failure: ProviderFailure) -> str:
    owner = registry.plugins.owner(failure.type, failure.name)
    is_of_plugin = failure.raised_at or failure.error_type == PluginError.__name__
    return _leave_out(owner) if is_of_plugin else _CORRECT


def _leave_out(plugin: PluginRecord | None) -> str:
    if plugin is None or plugin.is_built_in:
        return "This is a fault of Deckwright; please report it."
    return plugin.leave_out
