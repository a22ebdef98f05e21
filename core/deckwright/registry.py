"""The registry: configured providers, made once, looked up by type and instance, seen by their pipelines.

A registry may be read and changed from several threads: a view shows the state before or after a change, and stays as
it is. Whether a provider may be used from several threads depends on the provider.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple, TypeVar

from deckwright.config.loader import Config, secrets_in
from deckwright.config.providers import (
    EVERY_PIPELINE,
    REGISTRY_KEYS,
    ProviderConfigs,
    origin,
    read_provider_configs,
    unread_sections,
)
from deckwright.config.settings import unknown_setting
from deckwright.diagnostics import Diagnostic, ProviderFailure
from deckwright.errors import (
    CATCHABLE,
    ConfigError,
    DeckwrightError,
    ProvidersFailedError,
    RegistrationError,
    SettingError,
)
from deckwright.hooks import ProviderInfo
from deckwright.plugins import Plugins, PluginSettings
from deckwright.plugins.records import PluginRecord
from deckwright.plugins.timeouts import GENERATION_TIME_FACTOR
from deckwright.providers.media import MediaRequest
from deckwright.registry_compat import SPECIFIED_TYPES, SpecifiedMethods
from deckwright.secrets import redact, secret_values
from deckwright.tracebacks import error_location, format_error, format_traceback

logger = logging.getLogger(__name__)

T = TypeVar("T")
# Type, then instance, to provider.
Providers = Mapping[str, Mapping[str, Any]]


class InstanceKey(NamedTuple):
    """A configured provider."""

    type: str
    instance: str


class ProviderRegistry(SpecifiedMethods):
    """The providers of one program or build.

    Args:
        plugins: Plugins that the program passes in, beside those that are found.
        time_limit: How many seconds a plugin that is not built in may take to be imported, to answer a hook, or to
            make or close a provider, if the configuration does not say. It is then called in a thread of its own.
            None for no timeout, and no thread.

    Attributes:
        config: What it was made from; None when it was filled by hand.
        time_limit: As it was given.
    """

    def __init__(self, *, plugins: Iterable[object] = (), time_limit: float | None = None) -> None:
        self.config: Config | None = None
        self.time_limit = time_limit
        self._objects = tuple(plugins)
        self._plugins: Plugins | None = None
        self._lock = threading.RLock()
        self.clear_all()

    @classmethod
    def from_config(
        cls,
        config: Config | Mapping[str, Any] | str | os.PathLike[str] | None = None,
        *,
        plugins: Iterable[object] = (),
        strict: bool | None = None,
        time_limit: float | None = None,
    ) -> ProviderRegistry:
        """Make every provider that a configuration names.

        A provider that cannot be made is logged and recorded in `failures`; the others go on.

        Args:
            config: A file, a mapping or a `Config`. None takes `deckwright.toml` or `deckwright.json` in the
                working directory, or else the embedded default.
            plugins: Plugins that the program passes in, beside those that are found.
            strict: Raise for everything that is otherwise only recorded. None raises for what is wrong with plugins
                if the configuration has `[plugins] strict`, and False for nothing.
            time_limit: As for a registry that is made by hand.

        Raises:
            ConfigError: The configuration is wrong in itself; all that was found, at once.
            ProvidersFailedError: Under `strict`: a provider or plugin failed, or a setting is unknown.
        """
        registry = cls(plugins=plugins, time_limit=time_limit)
        registry.config = Config.of(config)
        registry._setup_media_providers()
        found: list[Diagnostic] = []
        if strict or (strict is None and registry.plugins.is_strict):
            found += registry.plugins.all_problems()
        if strict:
            found += [*registry.problems(), *registry.warnings]
        if found:
            registry.close()
            raise ProvidersFailedError(dict.fromkeys(found))
        return registry

    # The four steps from a configuration to providers

    def _extract_provider_configs(self) -> ProviderConfigs:
        """Return what is configured: type, then instance, to settings with `type` and `pipelines`."""
        return read_provider_configs(self._config_or_found())

    def _setup_media_providers(self) -> None:
        """Make and register every configured provider, of every type."""
        config = self._config_or_found()
        configs = self._read_sections(config)
        for warning in (*unread_sections(config, configs), *self.plugins.unknown_names()):
            self._warn(warning)
        for type, instances in configs.items():
            for instance, written in instances.items():
                self._written[InstanceKey(type, instance)] = written
                try:
                    provider = self._set_up(config, type, instance, written)
                except CATCHABLE as error:
                    self._record_failure(type, instance, error)
                else:
                    self.plugins.notify(
                        "provider_registered",
                        type=type,
                        instance=instance,
                        name=written["type"],
                        provider=provider,
                    )

    def _set_up(self, config: Config, type: str, instance: str, written: dict[str, Any]) -> Any:
        """Make one provider from its settings as they are written, and register it."""
        key, name = InstanceKey(type, instance), written["type"]
        settings = config.resolved(written)
        self._warn_of_unknown(type, name, instance, settings)
        provider = self._create_media_provider(type, name, settings)
        self.set_pipeline_assignments(type, instance, settings["pipelines"])
        self._register_provider_by_type(type, instance, provider)
        self._made.add(key)
        # A class of the old contract may have no `warnings`.
        for message in getattr(provider, "warnings", ()):
            where = config.where(f"providers.{type}.{instance}")
            self._warn(Diagnostic("warning", where, message))
        return provider

    def _read_sections(self, config: Config) -> ProviderConfigs:
        """Read every section that may be wrong in itself, so that all faults are reported at once."""
        faults: list[Diagnostic] = []
        configs: ProviderConfigs = {}
        try:
            configs = self._extract_provider_configs()
        except ConfigError as error:
            faults += error.diagnostics
        try:
            config.section("plugins", PluginSettings)
        except ConfigError as error:
            faults += error.diagnostics
        if faults:
            raise ConfigError(faults)
        return configs

    def _create_media_provider(self, type: str, name: str, config: Mapping[str, Any]) -> Any:
        """Have a plugin make one provider from its settings, without the registry's own keys.

        Raises:
            ValueError: No plugin knows the type or the name, or the provider itself raised it.
        """
        settings = dict(config)
        for key in REGISTRY_KEYS:
            settings.pop(key, None)
        return self.plugins.make(type, name, settings)

    def _register_provider_by_type(self, type: str, name: str, provider: Any) -> None:
        """Register a provider under its type.

        Raises:
            ValueError: There is no such type.
        """
        if type not in self._providers and type not in self.plugins.types:
            raise RegistrationError(f"Unknown provider type for registration: {type}")
        if type == "data":
            self.register_data_provider(name, provider)
        else:
            self._register(type, name, provider)

    # Looking up

    def __getitem__(self, type: str) -> Mapping[str, Any]:
        """Return the providers of one type, by instance; empty when there is none. It is read-only."""
        with self._lock:
            if type not in self._copies:
                self._copies[type] = MappingProxyType(dict(self._providers.get(type, {})))
            return self._copies[type]

    def get(self, type: str, instance: str) -> Any:
        """Return the provider of this type and instance, or None."""
        try:
            return self._providers[type][instance]
        except KeyError:
            return None

    def name_of(self, type: str, instance: str) -> str:
        """Return the provider name of a configured instance."""
        written = self._written.get(InstanceKey(type, instance))
        return written["type"] if written else instance

    def info_of(self, type: str, instance: str) -> ProviderInfo | None:
        """Return what is described of the provider of an instance; None when nothing is."""
        return self.plugins.info(type, self.name_of(type, instance))

    def owner(self, type: str, instance: str) -> PluginRecord | None:
        """Return the plugin that made the provider of an instance; None for one that was registered by hand."""
        if InstanceKey(type, instance) not in self._made:
            return None
        return self.plugins.owner(type, self.name_of(type, instance))

    def generate(self, type: str, instance: str, request: MediaRequest) -> Any:
        """Have the provider of an instance make a sound or picture, in the time that it may take.

        Returns:
            What it returned: a `MediaResult`, if it does as it should.

        Raises:
            PluginTimeoutError: It took too long.
            Exception: The provider raised it, though it should raise nothing.
        """
        provider = self._providers[type][instance]
        generate = self.with_timeout(type, instance, provider.generate_media, factor=GENERATION_TIME_FACTOR)
        return generate(request)

    def with_timeout(
        self, type: str, instance: str, call: Callable[..., T], *, factor: float = 1
    ) -> Callable[..., T]:
        """Return a function of an instance as one that is abandoned when it takes too long.

        It may take `factor` times the usual timeout. Built-in providers and those registered by hand have none.
        """
        if self._plugins is None:
            return call
        return self._plugins.with_timeout(type, self.name_of(type, instance), call, factor=factor)

    def for_pipeline(self, pipeline: str) -> Providers:
        """Return the providers that a pipeline may see: type, then instance, to provider, as configured.

        Every type is there, even if it is empty. The view is read-only.
        """
        with self._lock:
            if pipeline not in self._views:
                types = {**self._providers, **(self._plugins.types if self._plugins else {})}
                view: dict[str, dict[str, Any]] = {type: {} for type in types}
                visible = self._visible.get(EVERY_PIPELINE, set()) | self._visible.get(pipeline, set())
                for type, instance in sorted(visible, key=self._order.__getitem__):
                    view[type][instance] = self._providers[type][instance]
                self._views[pipeline] = MappingProxyType(
                    {type: MappingProxyType(view[type]) for type in view}
                )
            return self._views[pipeline]

    @property
    def failures(self) -> Sequence[ProviderFailure]:
        """Every configured provider that could not be made."""
        return tuple(self._failures)

    @property
    def warnings(self) -> Sequence[Diagnostic]:
        """What is probably a mistake in the configuration, though it keeps nothing from working."""
        return tuple(self._warnings)

    @property
    def plugins(self) -> Plugins:
        """The plugins; loaded when first asked for."""
        if self._plugins is None:
            with self._lock:
                if self._plugins is None:
                    config = Config({}) if self.config is None else self._config_or_found()
                    self._plugins = Plugins.from_config(
                        config, objects=self._objects, time_limit=self.time_limit
                    )
                    self._forget_views()  # they hold every type, and now there may be more
        return self._plugins

    def problems(self) -> list[Diagnostic]:
        """Return everything that does not work: plugins, and configured providers."""
        failures = [failure.diagnostic for failure in self._failures]
        return [*self.plugins.problems(), *failures, *self._not_closed]

    # Changing

    def _register(self, type: str, instance: str, provider: Any) -> None:
        key = InstanceKey(type, instance)
        with self._lock:
            self._providers.setdefault(type, {})[instance] = provider
            if key not in self._order:
                self._order[key] = len(self._order)
                for pipeline in self._pipelines_of(key):
                    self._visible[pipeline].add(key)
            self._made.discard(key)
            self._forget_views()

    def _forget_views(self) -> None:
        self._views.clear()
        self._copies.clear()

    def set_pipeline_assignments(self, type: str, name: str, pipelines: Sequence[str]) -> None:
        """Set the pipelines that may see an instance; `["*"]` for all.

        Raises:
            ValueError: `pipelines` is a single text, where a list of them should be.
        """
        if isinstance(pipelines, str):
            raise RegistrationError(f"The pipelines of {type}/{name} are a list of names, not {pipelines!r}.")
        key = InstanceKey(type, name)
        with self._lock:
            if key in self._order:
                for pipeline in self._pipelines_of(key):
                    self._visible[pipeline].discard(key)
                for pipeline in pipelines:
                    self._visible[pipeline].add(key)
            self._assignments[key] = tuple(pipelines)
            self._forget_views()

    def _pipelines_of(self, key: InstanceKey) -> tuple[str, ...]:
        return self._assignments.get(key, (EVERY_PIPELINE,))

    def get_pipeline_assignments(self, type: str, name: str) -> list[str]:
        """Return the pipelines that may see an instance; `["*"]` where none were set."""
        return list(self._pipelines_of(InstanceKey(type, name)))

    def clear_all(self) -> None:
        """Forget all providers, assignments, file claims and failures. Nothing is closed."""
        with self._lock:
            self._providers = {type: {} for type in SPECIFIED_TYPES}
            # The settings of each configured instance, variables not replaced.
            self._written: dict[InstanceKey, dict[str, Any]] = {}
            # Those that a plugin made from the settings; not those that were registered by hand.
            self._made: set[InstanceKey] = set()
            # The position of each in the order of registration.
            self._order: dict[InstanceKey, int] = {}
            self._assignments: dict[InstanceKey, tuple[str, ...]] = {}
            # By pipeline, so that a view takes as long as it is large.
            self._visible: defaultdict[str, set[InstanceKey]] = defaultdict(set)
            # Views are made once, and again after a change.
            self._views: dict[str, Providers] = {}
            self._copies: dict[str, Mapping[str, Any]] = {}
            self._files = {}
            self._failures: list[ProviderFailure] = []
            self._not_closed: list[Diagnostic] = []
            self._warnings: list[Diagnostic] = []

    def close(self) -> None:
        """Close every provider, those registered last first. May be called again.

        One that cannot be closed is logged, and is among the `problems`.
        """
        with self._lock:
            # Closing is outside the lock: a provider may use this registry meanwhile, from another thread too.
            providers = [(key, self._providers[key[0]][key[1]]) for key in reversed(self._order)]
        for (type, instance), provider in providers:
            self.close_provider(type, instance, provider)

    def close_provider(self, type: str, instance: str, provider: Any) -> None:
        """Close one provider; one that cannot be closed is among the `problems`."""
        try:
            if hasattr(provider, "close"):
                self.with_timeout(type, instance, provider.close)()
        except CATCHABLE as error:
            message = error.message if isinstance(error, DeckwrightError) else format_error(error)
            problem = Diagnostic("error", f"providers.{type}.{instance}", f"could not be closed: {message}")
            problem = problem.redacted(secret_values(getattr(provider, "config", {})))
            if problem not in self._not_closed:
                self._not_closed.append(problem)
                logger.warning("%s", problem)

    def __enter__(self) -> ProviderRegistry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # What went wrong

    def _config_or_found(self) -> Config:
        # A program may have set a plain mapping, as the specification's own callers do.
        self.config = Config.of(self.config)
        return self.config

    def _warn_of_unknown(self, type: str, name: str, instance: str, settings: Mapping[str, Any]) -> None:
        known = self.plugins.known_settings(type, name)
        if known is None or known.issuperset(settings):
            return
        config = self._config_or_found()
        for key in settings:
            section = origin(config, type, instance, name, key) if key not in known else ""
            # [apis.base] may hold what only other providers need.
            if section and section != "apis.base":
                where = config.where(f"{section}.{key}").removesuffix(f".{key}")
                self._warn(Diagnostic("warning", where, unknown_setting(key, known - REGISTRY_KEYS)))

    def _warn(self, warning: Diagnostic) -> None:
        self._warnings.append(warning)
        logger.warning("%s", warning)

    def _without_secrets(self, type: str, instance: str, text: str) -> str:
        return redact(text, secrets_in(self._written.get(InstanceKey(type, instance), {})))

    def _record_failure(self, type: str, instance: str, error: BaseException) -> None:
        path = f"providers.{type}.{instance}"
        name = self.name_of(type, instance)
        if isinstance(error, SettingError):
            section = origin(self._config_or_found(), type, instance, name, error.key.partition(".")[0])
            path, message, hint = f"{section}.{error.key}", error.problem, error.hint or ""
        elif isinstance(error, DeckwrightError):
            message, hint = error.message, error.hint or ""
        else:
            message, hint = format_error(error), ""
        owner = self.plugins.owner(type, name)
        failure = ProviderFailure(
            type=type,
            instance=instance,
            name=name,
            plugin=str(owner) if owner else "",
            where=self._config_or_found().where(path),
            error=self._without_secrets(type, instance, message),
            error_type=error.__class__.__name__,
            hint=self._without_secrets(type, instance, hint),
            # A DeckwrightError is for the user to fix; any other error is for the plugin's author.
            raised_at="" if isinstance(error, DeckwrightError) else error_location(error),
        )
        self._failures.append(failure)
        logger.warning("%s", failure)
        logger.debug("%s", self._without_secrets(type, instance, format_traceback(error)))
        self.plugins.notify("provider_failed", failure=failure)
