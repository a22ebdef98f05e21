"""The checks of the doctor: what is wrong with a configuration and its plugins, with where it is and how to fix it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Container, Iterator, Set
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
from deckwright.diagnostics import Diagnostic, ProviderFailure
from deckwright.errors import (
    CATCHABLE,
    ConfigError,
    InvalidRequestError,
    NotFoundError,
    PluginError,
    ProviderError,
)
from deckwright.plugins import PluginRecord, Plugins
from deckwright.registry import ProviderRegistry
from deckwright.secrets import secret_values
from deckwright.toolkit.install_hints import missing_packages
from deckwright.toolkit.languages import language_tag
from deckwright.tracebacks import diagnostic_of

_CORRECT = "Correct it, or remove it."

# A word of some languages that anything can speak and draw: an apple.
_WORDS = {
    "de": "Apfel", "es": "manzana", "fr": "pomme", "it": "mela", "ja": "りんご", "ko": "사과", "nl": "appel",
    "pl": "jabłko", "pt": "maçã", "ru": "яблоко", "sv": "äpple", "uk": "яблуко", "zh": "苹果",
}  # fmt: skip


def examine(
    config: Config, *, time_limit: float | None = None, leaked: Set[str] = frozenset()
) -> Iterator[Diagnostic]:
    """Look at a configuration, the plugins, and every provider that is set up.

    Providers of sound and pictures that have no key and ask no service, as far as they say, are tried with a word.
    One that describes itself wrongly, or not at all, may ask a service all the same.

    Args:
        config: The configuration.
        time_limit: How many seconds a plugin may take for each call, if the configuration does not say.
        leaked: The secrets that plugins have printed; it may grow while this runs.
    """
    file = str(config.path or "")
    try:
        registry = ProviderRegistry.from_config(config, strict=False, time_limit=time_limit)
    except ConfigError as error:
        yield from map(partial(_of_configuration, file), error.diagnostics)
        plugins = _plugins_alone(config, time_limit)
        yield from _of_plugins(plugins)
        yield from map(partial(_of_configuration, file), plugins.unknown_names())
        return
    with registry:
        try:
            settings = config.section("build", BuildSettings)
        except ConfigError as error:
            settings = BuildSettings()
            yield from map(partial(_of_configuration, file), error.diagnostics)
        # Trying the providers may show more faults of plugins, so plugins come after it.
        of_providers = [*_of_providers(registry, settings, file), *_of_closing(registry)]
        yield from _of_plugins(registry.plugins, {failure.error for failure in registry.failures})
        yield from of_providers
        yield from _of_leaks(registry, leaked)
        yield from map(partial(_of_configuration, file), hidden_types(registry, settings.pipeline))


def _of_configuration(file: str, diagnostic: Diagnostic) -> Diagnostic:
    """Return a diagnostic of the configuration, with its file, and a hint if it has none."""
    if diagnostic.severity == "note":
        return attrs.evolve(diagnostic, where=diagnostic.where or "configuration")
    return attrs.evolve(
        diagnostic,
        severity="error",
        where=diagnostic.where or "configuration",
        hint=diagnostic.hint or _CORRECT,
        file=file,
    )


def _plugins_alone(config: Config, time_limit: float | None) -> Plugins:
    try:
        return Plugins.from_config(config, time_limit=time_limit)
    except ConfigError:  # reported already
        return Plugins(time_limit=time_limit)


def _of_plugins(plugins: Plugins, reported: Container[str] = ()) -> Iterator[Diagnostic]:
    """Yield what is the matter with plugins, without conflicts that are reported already."""
    conflicts = plugins.conflicts()
    for record in plugins.records:
        yield from record.diagnostics
    for conflict in conflicts:
        if conflict.message not in reported:
            yield attrs.evolve(conflict, where="plugins")


def _of_providers(registry: ProviderRegistry, settings: BuildSettings, file: str) -> Iterator[Diagnostic]:
    for failure in registry.failures:
        yield attrs.evolve(
            failure.diagnostic, hint=failure.hint or _failure_hint(registry, failure), file=file
        )
    yield from map(partial(_of_configuration, file), registry.warnings)
    for type in registry.plugins.types:
        for instance in registry[type]:
            try:
                yield from _of_provider(registry, type, instance, settings, file)
            except CATCHABLE as error:  # a plugin's settings or description may be anything
                yield _fault(registry, type, instance, "cannot be examined", error)


def _of_provider(
    registry: ProviderRegistry, type: str, instance: str, settings: BuildSettings, file: str
) -> Iterator[Diagnostic]:
    where = f"providers.{type}.{instance}"
    missing = list(_missing(registry, type, instance))
    for message, hint in (
        *missing,
        *_unreachable(registry[type][instance], is_written=type == "sync"),
    ):
        yield Diagnostic("error", where, message, hint, file)
    if not missing:
        yield from _tried(registry, type, instance, settings)


def _missing(registry: ProviderRegistry, type: str, instance: str) -> Iterator[tuple[str, str]]:
    info = registry.info_of(type, instance)
    missing = missing_packages(info.extra) if info and info.extra else []
    if info and missing:
        yield f"needs {', '.join(missing)}, not installed here", f'Install it: pip install "{info.extra}"'


def _unreachable(provider: Any, *, is_written: bool) -> Iterator[tuple[str, str]]:
    """Yield a message for each path in the settings that cannot be used, with a hint."""
    settings: Any = getattr(provider, "settings", None)
    if not attrs.has(settings.__class__):
        return
    for key, path in attrs.asdict(settings, recurse=False).items():
        if isinstance(path, Path):
            try:
                fault, hint = _fault_of_path(path.absolute(), is_written=is_written)
            except OSError as error:
                fault, hint = f"cannot be reached: {error.strerror or error}", "Choose another."
            if fault:
                yield f"{key}: {path} {fault}", hint


def _fault_of_path(path: Path, *, is_written: bool) -> tuple[str, str]:
    """Return why a path cannot be read, or cannot be written, with a hint; empty when it can.

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
) -> Iterator[Diagnostic]:
    """Have a provider make the sound or picture of one word, if that costs nothing, as far as it says."""
    kind = next((kind for kind in KINDS if kind.type == type), None)
    if kind is None:
        return
    provider = registry[type][instance]
    info = registry.info_of(type, instance)
    has_key = any(secret_values(getattr(provider, "config", {})))
    if has_key or (info and info.traits.requests_per_item):
        why = "it has a key" if has_key else "it asks a service"
        hint = "`deckwright check --online` tries the connection."
        yield Diagnostic("note", f"providers.{type}.{instance}", f"was not tried: {why}", hint)
        return
    tag = language_tag(settings.language or "en")
    word = Word(_WORDS.get(tag.partition("-")[0], "apple"), language=tag)
    secrets = secret_values(getattr(provider, "config", {}))
    # What was abandoned may still write there.
    with tempfile.TemporaryDirectory(prefix="deckwright-", ignore_cleanup_errors=True) as folder:
        file = Path(folder, f"new{kind.suffix}")
        request = attrs.evolve(kind.request_for(word), output_path=file)
        try:
            generate_file(partial(registry.generate, type, instance), request, secrets)
        except GenerationError as failure:
            if not _has_nothing(failure.error):
                doing = f"has no {kind.label} for {word.text!r}"
                yield _fault(registry, type, instance, doing, failure.error)


def _has_nothing(reason: ProviderError) -> bool:
    """Return whether a provider works, and has or takes nothing for this one word."""
    # A result may say so in words only; then its error is of no special class and was not raised.
    in_words = reason.__class__ is ProviderError and not (reason.is_unexpected or reason.__traceback__)
    return in_words or isinstance(reason, NotFoundError | InvalidRequestError)


def _of_closing(registry: ProviderRegistry) -> Iterator[Diagnostic]:
    for type in registry.plugins.types:
        for instance, provider in registry[type].items():
            try:
                # A class of the old contract may have no `close`.
                registry.with_timeout(type, instance, getattr(provider, "close", lambda: None))()
            except CATCHABLE as error:
                yield _fault(registry, type, instance, "cannot be closed", error)


def _of_leaks(registry: ProviderRegistry, leaked: Set[str]) -> Iterator[Diagnostic]:
    """Yield an error for each provider whose secret was printed."""
    hint = "Change the plugin so that it does not print it; deckwright.secrets.redact masks it."
    owned: set[str] = set()
    for type in registry.plugins.types:
        for instance, provider in registry[type].items():
            secrets = leaked & set(secret_values(getattr(provider, "config", {})))
            owned |= secrets
            if secrets:
                owner = registry.plugins.owner(type, registry.name_of(type, instance))
                plugin = f" [plugin {owner}]" if owner else ""
                where = f"providers.{type}.{instance}"
                yield Diagnostic(
                    "error", where, f"a secret of it is printed{plugin}", hint, owner.file if owner else ""
                )
    if leaked - owned:
        yield Diagnostic("error", "plugins", "a secret is printed", hint)


def _fault(
    registry: ProviderRegistry, type: str, instance: str, doing: str, error: BaseException
) -> Diagnostic:
    owner = registry.plugins.owner(type, registry.name_of(type, instance))
    secrets = secret_values(getattr(registry[type][instance], "config", {}))
    found = diagnostic_of(error, f"providers.{type}.{instance}", doing=doing, secrets=secrets)
    message, hint = found.message, found.hint
    if isinstance(error, ProviderError) and error.is_unexpected:
        # Its hint is where it was raised, and does not say what to do.
        message, hint = f"{message}. {hint}".rstrip(), ""
    if owner:
        message = f"{message} [plugin {owner}]"
    return attrs.evolve(
        found, message=message, hint=hint or _plugin_hint(owner), file=owner.file if owner else ""
    )


def _failure_hint(registry: ProviderRegistry, failure: ProviderFailure) -> str:
    owner = registry.plugins.owner(failure.type, failure.name)
    is_of_plugin = failure.raised_at or failure.error_type == PluginError.__name__
    return _plugin_hint(owner) if is_of_plugin else _CORRECT


def _plugin_hint(plugin: PluginRecord | None) -> str:
    if plugin is None or plugin.is_built_in:
        return "This is a bug in Deckwright; please report it."
    return plugin.disable_hint
