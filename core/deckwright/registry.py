"""The registry: configured providers, made once, looked up by type and instance, seen by their pipelines.

Reading a registry is safe from several threads, and so is changing it: what is read is the state before or
after, and stays as it was. Whether a *provider* may be used from several threads is for it to say.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, TypeVar, cast

from deckwright.config.loader import Config, secrets_in
from deckwright.config.providers import (
    EVERY_PIPELINE,
    OLD_SECTIONS,
    REGISTRY_KEYS,
    ProviderConfigs,
    file_conflicts,
    odd_sections,
    origin,
    read_provider_configs,
)
from deckwright.config.settings import unknown_setting
from deckwright.diagnostics import ProviderFailure
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
from deckwright.providers.data import DataProvider
from deckwright.providers.media import MediaProvider, MediaRequest
from deckwright.providers.sync import SyncProvider
from deckwright.secrets import redact, secret_values
from deckwright.tracebacks import error_location, format_error, format_traceback

logger = logging.getLogger(__name__)

# The types that the methods of the specification are named for. Any other type is reached by `get`.
SPECIFIED_TYPES = OLD_SECTIONS

# How many times as long as for anything else a plugin may take to read a word list, or to make one sound or picture:
# some paint it.
PAINTING_TAKES = 20

T = TypeVar("T")
Key = tuple[str, str]
# Type, then instance, to provider.
Providers = Mapping[str, Mapping[str, Any]]


class ProviderRegistry:
    """The providers of one program or build.

    Args:
        plugins: Plugins handed over by the program, beside those that are found.
        time_limit: How many seconds a plugin that is not built in may take, each time it is called for, to be
            imported, to answer a hook, or to make or close a provider, where the configuration does not say. It
            is then called in a thread of its own. None for no limit, and no thread.

    Attributes:
        config: What it was made from; None when it was filled by hand.
    """

    def __init__(self, *, plugins: Iterable[object] = (), time_limit: float | None = None) -> None:
        self.config: Config | None = None
        self._time_limit = time_limit
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
            plugins: Plugins handed over by the program, beside those that are found.
            strict: Raise for anything that would otherwise be only recorded. None raises for what is wrong with
                plugins where the configuration's `[plugins] strict` says so, and False for nothing.
            time_limit: As for a registry that is made by hand.

        Raises:
            ConfigError: The configuration is wrong in itself; all that was found, at once.
            ProvidersFailedError: Under `strict`: a provider or plugin failed, or a setting is unknown.
        """
        registry = cls(plugins=plugins, time_limit=time_limit)
        if config is None:
            registry.config = Config.find()
        elif isinstance(config, (Config, Mapping)):
            registry.config = config if isinstance(config, Config) else Config(config)
        else:
            registry.config = Config.load(config)
        registry._setup_media_providers()
        faults: list[str] = []
        if strict or (strict is None and registry.plugins.is_strict):
            faults += registry.plugins.faults()
        if strict:
            faults += [*registry.problems(), *registry.warnings]
        if faults:
            registry.close()
            raise ProvidersFailedError(list(dict.fromkeys(faults)))
        return registry

    # The four steps from a configuration to providers

    def _extract_provider_configs(self) -> ProviderConfigs:
        """Return what is configured: type, then instance, to settings with `type` and `pipelines`."""
        return read_provider_configs(self._config_or_found())

    def _setup_media_providers(self) -> None:
        """Make and register every configured provider, of whatever type."""
        config = self._config_or_found()
        configs = self._read_all(config)
        plugins = self.plugins
        for warning in (*odd_sections(config, configs), *plugins.unknown_names()):
            self._warn(warning)
        observed = plugins.observe("provider_registered")
        for type, instances in configs.items():
            for instance, written in instances.items():
                key, name = (type, instance), written["type"]
                self._written[key] = written
                try:
                    settings = config.resolved(written)
                    known = plugins.known_settings(type, name)
                    if known is not None and not known.issuperset(settings):
                        self._warn_of_unknown(type, name, instance, settings)
                    provider = self._create_media_provider(type, name, settings)
                    if key in self._order:  # registered before, by hand
                        self.set_pipeline_assignments(type, instance, settings["pipelines"])
                    else:
                        self._assignments[key] = tuple(settings["pipelines"])
                    self._register_provider_by_type(type, instance, provider)
                    self._made.add(key)
                    # A class of the old contract may have no such thing.
                    for warning in getattr(provider, "warnings", ()):
                        self._warn(f"{config.where(f'providers.{type}.{instance}')}: {warning}")
                except CATCHABLE as error:
                    self._record_failure(type, instance, error)
                else:
                    if observed:
                        plugins.notify(
                            "provider_registered", type=type, instance=instance, name=name, provider=provider
                        )

    def _read_all(self, config: Config) -> ProviderConfigs:
        """Read every section that is wrong in itself if it is wrong, so that all the faults are told at once."""
        faults: list[str] = []
        configs: ProviderConfigs = {}
        try:
            configs = self._extract_provider_configs()
        except ConfigError as error:
            faults += error.faults
        try:
            config.section("plugins", PluginSettings)
        except ConfigError as error:
            faults += error.faults
        if faults:
            raise ConfigError(faults)
        return configs

    def _create_media_provider(self, type: str, name: str, config: Mapping[str, Any]) -> Any:
        """Have a plugin make one provider from its settings, the registry's own keys left out.

        Raises:
            ValueError: No plugin knows the type or the name; or whatever the provider itself raises.
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
        found = self._copies.get(type)
        if found is None:
            with self._lock:
                found = self._copies[type] = MappingProxyType(dict(self._providers.get(type, {})))
        return found

    def get(self, type: str, instance: str) -> Any:
        """Return one provider, or None when there is none of this type and instance."""
        try:
            return self._providers[type][instance]
        except KeyError:
            return None

    def name_of(self, type: str, instance: str) -> str:
        """Return the name by which plugins know the provider of a configured instance."""
        written = self._written.get((type, instance))
        return written["type"] if written else instance

    def info_of(self, type: str, instance: str) -> ProviderInfo | None:
        """Return what is described of the provider of an instance; None when nothing is."""
        return self.plugins.info(type, self.name_of(type, instance))

    def owner(self, type: str, instance: str) -> PluginRecord | None:
        """Return the plugin that made the provider of an instance; None for one that was registered by hand."""
        if (type, instance) not in self._made:
            return None
        return self.plugins.owner(type, self.name_of(type, instance))

    def generate(self, type: str, instance: str, request: MediaRequest) -> Any:
        """Have the provider of an instance make a sound or picture, in the time that it may take.

        Returns:
            What it returned: a `MediaResult`, if it does as it should.

        Raises:
            OverdueError: It took too long.
            Exception: Whatever it raises, though none should.
        """
        provider = self._providers[type][instance]
        return self.limited(type, instance, provider.generate_media, times=PAINTING_TAKES)(request)

    def limited(
        self, type: str, instance: str, call: Callable[..., T], *, times: float = 1
    ) -> Callable[..., T]:
        """Return a function of an instance as one that is left behind when it takes too long.

        Args:
            type: What the instance delivers.
            instance: The instance. For one that was registered by hand, and for built-in ones, there is no limit.
            call: The function.
            times: How many times the limit it may take.
        """
        if self._plugins is None:
            return call
        return self._plugins.limited(type, self.name_of(type, instance), call, times=times)

    def for_pipeline(self, pipeline: str) -> Providers:
        """Return the providers that a pipeline may see: type, then instance, to provider, as configured.

        Every type is there, be it empty. The view is read-only.
        """
        found = self._views.get(pipeline)
        if found is None:
            with self._lock:
                keys = self._seen_by.get(EVERY_PIPELINE, set()) | self._seen_by.get(pipeline, set())
                types = {**self._providers, **(self._plugins.types if self._plugins else {})}
                view: dict[str, dict[str, Any]] = {type: {} for type in types}
                for type, instance in sorted(keys, key=self._order.__getitem__):
                    view[type][instance] = self._providers[type][instance]
                found = MappingProxyType({type: MappingProxyType(view[type]) for type in view})
                self._views[pipeline] = found
        return found

    @property
    def failures(self) -> Sequence[ProviderFailure]:
        """Every configured provider that could not be made."""
        return tuple(self._failures)

    @property
    def warnings(self) -> Sequence[str]:
        """What is odd about the configuration without keeping anything from working."""
        return tuple(self._warnings)

    @property
    def time_limit(self) -> float | None:
        """How many seconds plugins may take where the configuration does not say; None for any."""
        return self._time_limit

    @property
    def plugins(self) -> Plugins:
        """The plugins; loaded when first asked for."""
        if self._plugins is None:
            with self._lock:
                if self._plugins is None:
                    config = Config({}) if self.config is None else self._config_or_found()
                    self._plugins = Plugins.from_config(
                        config, objects=self._objects, time_limit=self._time_limit
                    )
                    self._forget_views()  # they hold every type, and now there may be more
        return self._plugins

    def problems(self) -> list[str]:
        """Return everything that does not work, in words: plugins, and configured providers."""
        return [*self.plugins.problems(), *map(str, self._failures), *self._not_closed]

    # Changing

    def _register(self, type: str, instance: str, provider: Any) -> None:
        with self._lock:
            providers = self._providers.setdefault(type, {})
            if instance not in providers:
                key = (type, instance)
                self._order[key] = len(self._order)
                self._show_to(key, self._assignments.get(key, (EVERY_PIPELINE,)))
            providers[instance] = provider
            self._made.discard((type, instance))
            self._forget_views()

    def _forget_views(self) -> None:
        self._views.clear()
        self._copies.clear()

    def _show_to(self, key: Key, pipelines: Iterable[str]) -> None:
        for pipeline in pipelines:
            seen = self._seen_by.get(pipeline)
            if seen is None:
                self._seen_by[pipeline] = {key}
            else:
                seen.add(key)

    def set_pipeline_assignments(self, type: str, name: str, pipelines: Sequence[str]) -> None:
        """Say which pipelines may see an instance; `["*"]` for all.

        Raises:
            ValueError: `pipelines` is a single text, where a list of them should be.
        """
        if isinstance(pipelines, str):
            raise RegistrationError(f"The pipelines of {type}/{name} are a list of names, not {pipelines!r}.")
        key = (type, name)
        with self._lock:
            if key in self._order:
                for pipeline in self._assignments.get(key, (EVERY_PIPELINE,)):
                    self._seen_by[pipeline].discard(key)
                self._show_to(key, pipelines)
            self._assignments[key] = tuple(pipelines)
            self._forget_views()

    def get_pipeline_assignments(self, type: str, name: str) -> list[str]:
        """Return the pipelines that may see an instance; `["*"]` where none were set."""
        return list(self._assignments.get((type, name), (EVERY_PIPELINE,)))

    def clear_all(self) -> None:
        """Forget all providers, assignments, file claims and failures. Nothing is closed."""
        with self._lock:
            self._providers: dict[str, dict[str, Any]] = {type: {} for type in SPECIFIED_TYPES}
            # The settings of each configured instance, variables not replaced.
            self._written: dict[Key, dict[str, Any]] = {}
            # Those whose provider is the one that a plugin has made of the settings.
            self._made: set[Key] = set()
            self._order: dict[Key, int] = {}
            self._assignments: dict[Key, tuple[str, ...]] = {}
            self._seen_by: dict[str, set[Key]] = {}
            # What was handed out, until the next change.
            self._views: dict[str, Providers] = {}
            self._copies: dict[str, Mapping[str, Any]] = {}
            # File to the data instance that manages it.
            self._files: dict[str, str] = {}
            self._failures: list[ProviderFailure] = []
            self._not_closed: list[str] = []
            self._warnings: list[str] = []

    def close(self) -> None:
        """Close every provider, those registered last first. May be called again.

        One that cannot be closed is logged, and is among the `problems`.
        """
        with self._lock:
            # A provider that closes may ask this registry for others, from a thread of its own even.
            providers = [(key, self._providers[key[0]][key[1]]) for key in reversed(self._order)]
        for (type, instance), provider in providers:
            self.close_provider(type, instance, provider)

    def close_provider(self, type: str, instance: str, provider: Any) -> None:
        """Close one provider, and whatever it does, go on; one that cannot be closed is among the `problems`."""
        try:
            if hasattr(provider, "close"):
                self.limited(type, instance, provider.close)()
        except CATCHABLE as error:
            said = format_error(error) if not isinstance(error, DeckwrightError) else error.message
            secrets = secret_values(getattr(provider, "config", {}))
            problem = redact(f"providers.{type}.{instance} could not be closed: {said}", secrets)
            if problem not in self._not_closed:
                self._not_closed.append(problem)
                logger.warning("%s", problem)

    def __enter__(self) -> ProviderRegistry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # The methods of the specification, a set for each of its types

    def register_data_provider(
        self, name: str, provider: DataProvider, config: Mapping[str, Any] | None = None
    ) -> None:
        """Register a data provider; a second one under the same name takes its place.

        Args:
            name: The instance.
            provider: The provider.
            config: `config["files"]` lists what it manages; without it, the provider is asked.

        Raises:
            ValueError: Another instance manages one of the files.
        """
        files = config.get("files") if config else getattr(provider, "managed_files", None)
        files = files if isinstance(files, (list, tuple)) else ()
        with self._lock:
            if files:
                taken = [(self._files.get(file, name), [file]) for file in files]
                if conflicts := file_conflicts([*taken, (name, files)]):
                    raise RegistrationError("\n".join(conflicts))
            if name in self._providers["data"]:
                self._files = {file: owner for file, owner in self._files.items() if owner != name}
            self._files.update(dict.fromkeys(files, name))
            self._register("data", name, provider)

    def register_audio_provider(self, name: str, provider: MediaProvider) -> None:
        """Register a provider of sound; a second one under the same name takes its place."""
        self._register("audio", name, provider)

    def register_image_provider(self, name: str, provider: MediaProvider) -> None:
        """Register a provider of pictures; a second one under the same name takes its place."""
        self._register("image", name, provider)

    def register_sync_provider(self, name: str, provider: SyncProvider) -> None:
        """Register a place that decks go to; a second one under the same name takes its place."""
        self._register("sync", name, provider)

    def get_data_provider(self, name: str) -> DataProvider | None:
        """Return a data provider, or None."""
        return cast("DataProvider | None", self.get("data", name))

    def get_audio_provider(self, name: str) -> MediaProvider | None:
        """Return a provider of sound, or None."""
        return cast("MediaProvider | None", self.get("audio", name))

    def get_image_provider(self, name: str) -> MediaProvider | None:
        """Return a provider of pictures, or None."""
        return cast("MediaProvider | None", self.get("image", name))

    def get_sync_provider(self, name: str) -> SyncProvider | None:
        """Return a place that decks go to, or None."""
        return cast("SyncProvider | None", self.get("sync", name))

    def list_data_providers(self) -> list[str]:
        """Return the names of all data providers, in order of registration."""
        return list(self._providers["data"])

    def list_audio_providers(self) -> list[str]:
        """Return the names of all providers of sound, in order of registration."""
        return list(self._providers["audio"])

    def list_image_providers(self) -> list[str]:
        """Return the names of all providers of pictures, in order of registration."""
        return list(self._providers["image"])

    def list_sync_providers(self) -> list[str]:
        """Return the names of all places that decks go to, in order of registration."""
        return list(self._providers["sync"])

    def get_providers_for_pipeline(self, pipeline: str) -> dict[str, dict[str, Any]]:
        """Return what `for_pipeline` does, as new dicts; of other types than its own, those with a provider."""
        return {
            type: dict(providers)
            for type, providers in self.for_pipeline(pipeline).items()
            if providers or type in SPECIFIED_TYPES
        }

    def get_provider_info(self) -> dict[str, dict[str, Any]]:
        """Return `{"audio_providers": {"count": 2, "names": [...]}, ...}` for every type."""
        with self._lock:
            return {
                f"{type}_providers": {"count": len(providers), "names": list(providers)}
                for type, providers in self._providers.items()
            }

    # What went wrong

    def _config_or_found(self) -> Config:
        # A program may have set a plain mapping, as the specification's own callers do.
        if not isinstance(self.config, Config):
            self.config = Config.find() if self.config is None else Config(self.config)
        return self.config

    def _warn_of_unknown(self, type: str, name: str, instance: str, settings: Mapping[str, Any]) -> None:
        config = self._config_or_found()
        known = self.plugins.known_settings(type, name) or frozenset()
        for key in settings:
            section = origin(config, type, instance, name, key) if key not in known else ""
            # [apis.base] may hold what only others need.
            if section and section != "apis.base":
                where = config.where(f"{section}.{key}").removesuffix(f".{key}")
                self._warn(f"{where}: {unknown_setting(key, known - REGISTRY_KEYS)}")

    def _warn(self, warning: str) -> None:
        self._warnings.append(warning)
        logger.warning("%s", warning)

    def _without_secrets(self, type: str, instance: str, text: str) -> str:
        return redact(text, secrets_in(self._written.get((type, instance), {})))

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
            # Of a setting or a missing package the user thinks first, of anything else the plugin's author.
            raised_at="" if isinstance(error, DeckwrightError) else error_location(error),
        )
        self._failures.append(failure)
        logger.warning("%s", failure)
        logger.debug("%s", self._without_secrets(type, instance, format_traceback(error)))
        self.plugins.notify("provider_failed", failure=failure)
