"""What is wrong with a configuration and its plugins, or will be: each finding with its place and the mend."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Container, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from deckwright.builder.generation import GenerationError, generate_file
from deckwright.builder.media import KINDS
from deckwright.builder.plan import hidden_types
from deckwright.builder.settings import BuildSettings
from deckwright.builder.words import Word
from deckwright.config.loader import Config
from deckwright.diagnostics import ProviderFailure
from deckwright.errors import (
    CATCHABLE,
    ConfigError,
    InvalidRequestError,
    NotFoundError,
    PluginError,
    ProviderError,
)
from deckwright.plugins import PluginRecord, Plugins, Problem
from deckwright.plugins.records import problem_of
from deckwright.registry import ProviderRegistry
from deckwright.secrets import redact, secret_values
from deckwright.toolkit.install_hints import missing_packages
from deckwright.toolkit.languages import language_tag

_CORRECT = "Correct it there, or take it out."

# A word of each of some languages that anything can speak and draw: an apple.
_WORDS = {
    "de": "Apfel", "es": "manzana", "fr": "pomme", "it": "mela", "ja": "りんご", "ko": "사과", "nl": "appel",
    "pl": "jabłko", "pt": "maçã", "ru": "яблоко", "sv": "äpple", "uk": "яблуко", "zh": "苹果",
}  # fmt: skip


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

    Providers of sound and pictures that have no key and ask no service, as far as they say, are tried with a word.
    What does not describe itself, or not truly, may ask one all the same.

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
        try:
            settings = config.section("build", BuildSettings)
        except ConfigError as error:
            settings = BuildSettings()
            for fault in error.faults:
                yield Finding("configuration", fault, error.hint or _CORRECT, str(config.path or ""))
        # What is tried may show more faults of plugins, so these come after.
        of_providers = [*_of_providers(registry, settings), *_of_closing(registry)]
        yield from _of_plugins(registry.plugins, {failure.error for failure in registry.failures})
        yield from of_providers
        for remark in hidden_types(registry, settings.pipeline):
            yield Finding("configuration", remark, is_problem=False)


def _plugins_alone(config: Config, time_limit: float | None) -> Plugins:
    try:
        return Plugins.from_config(config, time_limit=time_limit)
    except ConfigError:  # told already
        return Plugins(time_limit=time_limit)


def _of_plugins(plugins: Plugins, told: Container[str] = ()) -> Iterator[Finding]:
    """Yield what is the matter with plugins, but for conflicts that are told already."""
    conflicts = plugins.conflicts()
    for record in plugins.records:
        for problem in record.problems:
            yield Finding(f"plugin {record}", problem.what, problem.mend, record.file)
        for remark in record.remarks:
            yield Finding(f"plugin {record}", remark, file=record.file, is_problem=False)
    for conflict in conflicts:
        if conflict.what not in told:
            yield Finding("plugins", conflict.what, conflict.mend)


def _of_providers(registry: ProviderRegistry, settings: BuildSettings) -> Iterator[Finding]:
    file = str(registry.config.path or "") if registry.config else ""
    for failure in registry.failures:
        at = f", at {failure.raised_at}" if failure.raised_at else ""
        of = f" [plugin {failure.plugin}{at}]" if failure.plugin else at
        yield Finding(failure.where, f"{failure.error}{of}", failure.hint or _mend(registry, failure), file)
    for warning in registry.warnings:
        where, _, what = warning.partition(": ")
        yield Finding(where, what, _CORRECT, file)
    for type in registry.plugins.types:
        for instance in registry[type]:
            try:
                yield from _of_provider(registry, type, instance, settings, file)
            except CATCHABLE as error:  # a stranger's settings or description may be anything
                yield _fault(registry, type, instance, "cannot be looked at", error)


def _of_provider(
    registry: ProviderRegistry, type: str, instance: str, settings: BuildSettings, file: str
) -> Iterator[Finding]:
    about = f"providers.{type}.{instance}"
    missing = list(_missing(registry, type, instance))
    for what, mend in (*missing, *_unreachable(registry[type][instance], is_written=type == "sync")):
        yield Finding(about, what, mend, file)
    if not missing:
        yield from _tried(registry, type, instance, settings)


def _missing(registry: ProviderRegistry, type: str, instance: str) -> Iterator[tuple[str, str]]:
    info = registry.info_of(type, instance)
    missing = missing_packages(info.extra) if info and info.extra else []
    if info and missing:
        yield f"needs {', '.join(missing)}, not installed here", f'Install it: pip install "{info.extra}"'


def _unreachable(provider: Any, *, is_written: bool) -> Iterator[tuple[str, str]]:
    """Yield each path in the settings that is out of reach, with the mend."""
    settings: Any = getattr(provider, "settings", None)
    if not attrs.has(settings.__class__):
        return
    for key, path in attrs.asdict(settings, recurse=False).items():
        if isinstance(path, Path):
            try:
                fault, mend = _fault_of_path(path.absolute(), is_written=is_written)
            except OSError as error:
                fault, mend = f"cannot be reached: {error.strerror or error}", "Choose another."
            if fault:
                yield f"{key}: {path} {fault}", mend


def _fault_of_path(path: Path, *, is_written: bool) -> tuple[str, str]:
    """Say what keeps a path from being read, or else from being written, and the mend; empty when nothing does.

    Raises:
        OSError: It cannot even be looked at.
    """
    there = next(one for one in (path, *path.parents) if one.exists())
    if there == path:
        if not os.access(path, os.R_OK):
            return "cannot be read", "Allow it to be read, or choose another."
        if is_written and not os.access(path, os.W_OK):
            return "cannot be written", "Allow it to be written, or choose another."
    elif not there.is_dir():
        return f"cannot be there: {there} is a file", "Choose another folder."
    elif not os.access(there, os.W_OK | os.X_OK):
        return f"is not there, and cannot be made in {there}", "Choose another folder."
    return "", ""


def _tried(
    registry: ProviderRegistry, type: str, instance: str, settings: BuildSettings
) -> Iterator[Finding]:
    """Have a provider make the sound or picture of one word, if that costs nothing, as far as it says."""
    kind = next((kind for kind in KINDS if kind.type == type), None)
    if kind is None:
        return
    provider = registry[type][instance]
    info = registry.info_of(type, instance)
    has_key = any(secret_values(getattr(provider, "config", {})))
    if has_key or (info and info.traits.requests_per_item):
        why = "it has a key" if has_key else "it asks a service"
        mend = "`deckwright check --online` tries the connection."
        yield Finding(f"providers.{type}.{instance}", f"was not tried: {why}", mend, is_problem=False)
        return
    tag = language_tag(settings.language or "en")
    word = Word(_WORDS.get(tag.partition("-")[0], "apple"), language=tag)
    secrets = secret_values(getattr(provider, "config", {}))
    # What was left behind may still write there.
    with tempfile.TemporaryDirectory(prefix="deckwright-", ignore_cleanup_errors=True) as folder:
        file = Path(folder, f"new{kind.suffix}")
        request = attrs.evolve(kind.request_for(word), output_path=file)
        try:
            generate_file(partial(registry.generate, type, instance), request, secrets)
        except GenerationError as failure:
            if not _has_nothing(failure.error):
                yield _fault(
                    registry, type, instance, f"has no {kind.label} for {word.text!r}", failure.error
                )


def _has_nothing(reason: ProviderError) -> bool:
    """Say whether a provider works, and has or takes nothing for this one word."""
    # A result may say so in words alone; then there is an error of no kind, which nobody raised.
    in_words = reason.__class__ is ProviderError and not (reason.is_unforeseen or reason.__traceback__)
    return in_words or isinstance(reason, NotFoundError | InvalidRequestError)


def _of_closing(registry: ProviderRegistry) -> Iterator[Finding]:
    for type in registry.plugins.types:
        for instance, provider in registry[type].items():
            try:
                # A class of the old contract may have no such thing.
                registry.limited(type, instance, getattr(provider, "close", lambda: None))()
            except CATCHABLE as error:
                yield _fault(registry, type, instance, "cannot be closed", error)


def _fault(registry: ProviderRegistry, type: str, instance: str, doing: str, error: BaseException) -> Finding:
    problem = problem_of(error, doing)
    if isinstance(error, ProviderError) and error.is_unforeseen:
        # What it hints at is the place.
        problem = Problem(f"{problem.what}. {problem.mend}".rstrip())
    owner = registry.plugins.owner(type, registry.name_of(type, instance))
    secrets = list(secret_values(getattr(registry[type][instance], "config", {})))
    what = redact(f"{problem.what}{f' [plugin {owner}]' if owner else ''}", secrets)
    mend = redact(problem.mend, secrets) or _leave_out(owner)
    return Finding(f"providers.{type}.{instance}", what, mend, owner.file if owner else "")


def _mend(registry: ProviderRegistry, failure: ProviderFailure) -> str:
    owner = registry.plugins.owner(failure.type, failure.name)
    is_of_plugin = failure.raised_at or failure.error_type == PluginError.__name__
    return _leave_out(owner) if is_of_plugin else _CORRECT


def _leave_out(plugin: PluginRecord | None) -> str:
    if plugin is None or plugin.is_built_in:
        return "This is a fault of Deckwright; please report it."
    return plugin.leave_out
