"""The plugins of one registry: loaded, asked what they offer, and asked to make providers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar

import attrs

from deckwright.config.loader import Config, secrets_in
from deckwright.config.providers import REGISTRY_KEYS
from deckwright.config.settings import did_you_mean, setting_names
from deckwright.diagnostics import Diagnostic
from deckwright.errors import CATCHABLE, PluginError, ProviderConflictError, UnknownProviderError
from deckwright.hooks import ProviderInfo, ProviderType
from deckwright.plugins.calls import PluginCalls
from deckwright.plugins.catalog import Catalog, Offer, ProviderKey
from deckwright.plugins.loading import load_plugins
from deckwright.plugins.records import PluginRecord, PluginReporter
from deckwright.plugins.settings import PluginSettings
from deckwright.plugins.timeouts import PluginTimeoutError, call_with_timeout
from deckwright.tracebacks import diagnostic_of

T = TypeVar("T")

_NOT_ITS_OWN = "It should return None for what is not its own."


@attrs.frozen
class _Trial:
    """What came of asking a plugin that describes nothing for a provider: the provider, None, or an error."""

    offer: Offer
    provider: Any = None
    error: BaseException | None = None


class Plugins:
    """All plugins of one registry.

    Args:
        settings: Which to load, beside the built-in ones.
        objects: Plugins that a program passes in.
        folder: What relative paths in the settings start from.
        time_limit: How many seconds a plugin that is not built in may take for each call, if the settings do not
            say; None for no timeout.
        secrets: Returns what must never be shown.
    """

    def __init__(
        self,
        settings: PluginSettings | None = None,
        *,
        objects: Iterable[object] = (),
        folder: Path | None = None,
        time_limit: float | None = None,
        secrets: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._settings = settings = settings or PluginSettings()
        timeout = time_limit if settings.time_limit is None else settings.time_limit
        self._reporter = PluginReporter(secrets)
        loaded = load_plugins(
            settings, objects=objects, folder=folder or Path(), timeout=timeout, reporter=self._reporter
        )
        self._records = loaded.records
        self._rejected = loaded.rejected
        self._calls = PluginCalls(loaded, timeout, self._reporter)
        self._catalog = Catalog(self._calls, settings.prefer, self._reporter)
        self._makers: dict[ProviderKey, Offer] = {}
        self._known_settings: dict[ProviderKey, frozenset[str] | None] = {}

    @classmethod
    def from_config(
        cls, config: Config, *, objects: Iterable[object] = (), time_limit: float | None = None
    ) -> Plugins:
        """Load the plugins that a configuration chooses; its secrets are masked in what is reported of them.

        Raises:
            ConfigError: Its section `[plugins]` is wrong.
        """
        return cls(
            config.section("plugins", PluginSettings),
            objects=objects,
            folder=config.folder,
            time_limit=time_limit,
            secrets=lambda: secrets_in(config.written),
        )

    @property
    def is_strict(self) -> bool:
        """Whether the settings make every problem with a plugin an error."""
        return self._settings.strict

    @property
    def records(self) -> list[PluginRecord]:
        """Every plugin that was found: built-in ones, others by name, and last those that could not be used."""
        return [*self._records.values(), *self._rejected]

    @property
    def types(self) -> Mapping[str, ProviderType]:
        """The types of provider, by name."""
        return MappingProxyType(self._catalog.types)

    # What they offer

    def describe(self) -> list[tuple[ProviderInfo, PluginRecord]]:
        """Return what is on offer, sorted by type and name: each provider with the plugin that would make it."""
        return self._catalog.described()

    def info(self, type: str, name: str) -> ProviderInfo | None:
        """Return what is described of the provider of this type and name; None when nothing is."""
        key = ProviderKey(type, name)
        offers = self._catalog.offers.get(key)
        if not offers:
            return None
        chosen = self._makers.get(key) or self._catalog.choose(key, offers)
        return chosen.info if chosen in offers else None

    def known_settings(self, type: str, name: str) -> frozenset[str] | None:
        """Return the keys that an instance of this provider may have; None when any may be right."""
        key = ProviderKey(type, name)
        if key not in self._known_settings:
            info = self.info(type, name)
            config_class = info.config_class if info else None
            self._known_settings[key] = setting_names(config_class) | REGISTRY_KEYS if config_class else None
        return self._known_settings[key]

    def owner(self, type: str, name: str) -> PluginRecord | None:
        """Return the plugin that makes this provider, as far as that is known; None otherwise."""
        key = ProviderKey(type, name)
        offer = self._makers.get(key)
        if offer is None and key in self._catalog.offers:
            try:
                offer = self._catalog.choose(key, self._catalog.offers[key])
            except ProviderConflictError:
                return None
        return offer.plugin if offer else None

    # What is wrong with them

    def problems(self) -> list[Diagnostic]:
        """Return what does not work."""
        return [problem for record in self.records for problem in record.problems]

    def notes(self) -> list[Diagnostic]:
        """Return what is worth knowing of the plugins, though nothing is wrong."""
        return [note for record in self.records for note in record.notes]

    def conflicts(self) -> list[Diagnostic]:
        """Return an error for each thing that several plugins offer while nothing chooses one of them."""
        return [diagnostic_of(conflict, "") for conflict in self._catalog.conflicts()]

    def all_problems(self) -> list[Diagnostic]:
        """Return what does not work, or would not if a configuration used it, for `strict`."""
        return [*self.problems(), *self.conflicts(), *self.unknown_names()]

    def unknown_names(self) -> list[Diagnostic]:
        """Return a warning for every name in the settings `disable`, `only` and `prefer` that no plugin has."""
        names = [record.name for record in self.records]
        warnings = []
        for setting in ("disable", "only", "prefer"):
            for name in getattr(self._settings, setting) or ():
                if not any(record.is_called(name) for record in self.records):
                    ending = [known for known in names if known.endswith(f".{name}")]
                    near = f", did you mean {ending[0]!r}?" if ending else did_you_mean(name, names)
                    warnings.append(
                        Diagnostic("warning", f"plugins.{setting}", f"there is no plugin {name!r}{near}")
                    )
        return warnings

    # Calling them

    def has_observers(self, hook: str) -> bool:
        """Return whether any plugin observes this hook."""
        return self._calls.has_observers(hook)

    def notify(self, hook: str, **arguments: Any) -> None:
        """Call the observers of a hook; an error of one is reported and changes nothing."""
        self._calls.notify(hook, **arguments)

    def with_timeout(
        self, type: str, name: str, call: Callable[..., T], *, factor: float = 1
    ) -> Callable[..., T]:
        """Return a function of a provider as one that is abandoned when it takes `factor` times the timeout."""
        plugin = self.owner(type, name)
        timeout = (self._calls.timeout or 0) * factor
        if not timeout or plugin is None or plugin.is_built_in:
            return call
        doing = getattr(call, "__name__", "")
        return lambda *arguments: call_with_timeout(timeout, lambda: call(*arguments), doing)

    def make(self, type: str, name: str, config: dict[str, Any]) -> Any:
        """Have a plugin make a provider.

        Args:
            type: Its type.
            name: Its name.
            config: Its settings; the provider gets this very dict.

        Raises:
            UnknownProviderError: No plugin answers to the type or the name.
            ProviderConflictError: Several do, and `prefer` names none of them.
            PluginError: What the plugin made is not a provider of that type.
            Exception: The constructor of the provider raised it.
        """
        key = ProviderKey(type, name)
        provider = None
        maker = self._makers.get(key)
        if maker is None:
            self._require_type(type)
            maker, provider = self._find_maker(key, config)
        if provider is None:
            provider = maker.make(type=type, name=name, config=config)
        return self._checked(provider, maker.plugin, key, config)

    def _require_type(self, type: str) -> None:
        if type in self._catalog.conflicting_types:
            raise self._catalog.conflicting_types[type]
        if type not in self.types:
            near = did_you_mean(type, self.types)
            raise UnknownProviderError(f"Unknown provider type: {type}{near}", hint=self._not_loaded_hint())

    def _find_maker(self, key: ProviderKey, config: dict[str, Any]) -> tuple[Offer, Any]:
        """Find who makes a provider, and remember it; return it with the provider, if it was made to find out.

        A plugin that describes nothing may make any provider, also one that others describe. To know, it is asked.
        """
        trials = [self._try(offer, key, config) for offer in self._catalog.undescribed]
        made = [trial for trial in trials if trial.provider is not None]
        failed = [trial for trial in trials if trial.error is not None]
        offers = [*self._catalog.offers.get(key, ()), *(trial.offer for trial in made)]
        if not offers:
            self._raise_unknown(key, failed)
        for trial in failed:
            self._report_failed_trial(key, trial)
        maker = self._makers[key] = self._catalog.choose(key, offers)
        provider = None
        for trial in made:
            if trial.offer is maker:
                provider = trial.provider
            else:
                with suppress(*CATCHABLE):  # nobody uses it
                    trial.provider.close()
        return maker, provider

    def _try(self, undescribed: Offer, key: ProviderKey, config: dict[str, Any]) -> _Trial:
        offer = attrs.evolve(undescribed, info=ProviderInfo(*key))
        try:
            return _Trial(offer, provider=offer.make(type=key.type, name=key.name, config=dict(config)))
        except CATCHABLE as error:  # the provider may belong to another plugin
            return _Trial(offer, error=error)

    def _raise_unknown(self, key: ProviderKey, failed: list[_Trial]) -> NoReturn:
        known = sorted(offered.name for offered in self._catalog.offers if offered.type == key.type)
        near = did_you_mean(key.name, known)
        if failed and failed[0].error and not near:
            # A plugin that raises when it is asked may well be the one that makes it.
            self._makers[key] = failed[0].offer
            raise failed[0].error
        listed = f"Known are: {', '.join(known)}." if known else ""
        hint = " ".join(filter(None, (listed, self._not_loaded_hint())))
        raise UnknownProviderError(f"Unknown {key.type} provider: {key.name}{near}", hint=hint or None)

    def _report_failed_trial(self, key: ProviderKey, trial: _Trial) -> None:
        plugin, error = trial.offer.plugin, trial.error
        # A plugin that raises for one provider may well do so for all: once is enough.
        is_reported = any(problem.hint == _NOT_ITS_OWN for problem in plugin.problems)
        if error and not is_reported and not isinstance(error, PluginTimeoutError):
            diagnostic = diagnostic_of(
                error, "", doing=f"register_media_provider, asked for {key.type}/{key.name}"
            )
            self._reporter.error(plugin, diagnostic.message, _NOT_ITS_OWN)

    def _not_loaded_hint(self) -> str | None:
        """Return a hint at the plugins that were not loaded: one of them may make what was asked for."""
        failed = ", ".join(record.name for record in self._rejected)
        skipped = ", ".join(name for name, record in self._records.items() if record.status != "loaded")
        hints = [f"A plugin that could not be loaded may make it: {failed}."] if failed else []
        hints += [f"Not loaded, because of [plugins]: {skipped}."] if skipped else []
        return " ".join(hints) or None

    def _checked(self, made: Any, plugin: PluginRecord, key: ProviderKey, config: dict[str, Any]) -> Any:
        contract: Any = self.types[key.type].contract
        if isinstance(made, type) and issubclass(made, contract):
            arguments = (config,) if _takes_config(made) else ()
            made = self._calls.guarded(plugin, made.__name__, made)(*arguments)
        if not isinstance(made, contract):
            what = "nothing" if made is None else repr(type(made).__name__)
            raise PluginError(
                f"Plugin {plugin} made {what} for {key.type}/{key.name}.",
                hint=f"It should return an instance of {contract.__module__}.{contract.__name__}.",
            )
        # The contract of a plugin's own type need not derive from ours.
        if hasattr(made, "unsupported_reason") and (unfit := made.unsupported_reason(key.type)):
            raise PluginError(
                f"Plugin {plugin} made {made.__class__.__name__!r} for {key.type}/{key.name}, {unfit}."
            )
        return made


def _takes_config(provider_class: type[Any]) -> bool:
    """Return whether a class of the old contract takes its settings, which its signature says."""
    for parameter in inspect.signature(provider_class).parameters.values():
        if parameter.name == "config" or parameter.kind is parameter.VAR_POSITIONAL:
            return True
        if parameter.kind is not parameter.VAR_KEYWORD and parameter.default is parameter.empty:
            return True
    return False
