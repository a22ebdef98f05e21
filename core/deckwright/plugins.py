"""Plugins: loaded one by one, checked, registered with pluggy, and asked through a thin typed facade.

Nothing else in this package touches pluggy's manager. A plugin that cannot be used becomes a record in
`Plugins.records` and a line in the log; the others work on.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import attrs
import pluggy

from deckwright import discovery
from deckwright.discovery import Candidate, Provenance
from deckwright.errors import FAULTS, PluginError, ProviderConflictError, UnknownProviderError, told, trace
from deckwright.hooks import ProviderInfo, ProviderType
from deckwright.plugin_checks import PluginChecks, new_manager
from deckwright.provider_configs import REGISTRY_KEYS
from deckwright.secrets import redact, secret_values
from deckwright.settings import did_you_mean, setting_names

logger = logging.getLogger(__name__)

Key = tuple[str, str]
Make = Callable[[str, str, "dict[str, Any]"], Any]


@attrs.define
class PluginSettings:
    """The `[plugins]` section of a configuration."""

    modules: list[str] = attrs.field(factory=list, metadata={"help": "modules to load, by import name"})
    paths: list[Path] = attrs.field(factory=list, metadata={"help": "plugin files, or folders of them"})
    disable: list[str] = attrs.field(factory=list, metadata={"help": "plugins not to import at all"})
    prefer: list[str] = attrs.field(
        factory=list, metadata={"help": "plugins that win where several offer the same provider"}
    )
    installed: bool = attrs.field(default=True, metadata={"help": "load the plugins of installed packages"})


@attrs.define
class PluginRecord:
    """One plugin, loaded or not.

    Attributes:
        name: What `disable` and `prefer` call it.
        provenance: Where it is from.
        status: `"loaded"`, `"disabled"` or `"failed"`.
        hooks: The hooks it implements.
        problems: What is wrong with it, each with the mend. A loaded plugin may have some too.
        remarks: What is worth knowing and wrong with nothing.
        seconds: How long it took to import.
    """

    name: str
    provenance: Provenance
    status: str = "loaded"
    hooks: tuple[str, ...] = ()
    problems: list[str] = attrs.field(factory=list)
    remarks: list[str] = attrs.field(factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.name} ({self.provenance})" if str(self.provenance) != self.name else self.name


@attrs.frozen
class _Offer:
    """One plugin's word that it makes a provider."""

    plugin: PluginRecord
    info: ProviderInfo
    make: Make


class Plugins:
    """All plugins of one registry.

    Args:
        settings: Which to load, beside the built-in ones.
        objects: Plugins handed over by a program.
        folder: What relative paths in the settings start from.
    """

    def __init__(
        self,
        settings: PluginSettings | None = None,
        *,
        objects: Iterable[object] = (),
        folder: Path | None = None,
    ) -> None:
        self._settings = settings or PluginSettings()
        self._manager = new_manager()
        self._checks = PluginChecks(self._manager)
        self._seen: set[tuple[str, Provenance]] = set()
        self._registered: set[int] = set()
        self._records: dict[str, PluginRecord] = {}
        self._rejected: list[PluginRecord] = []
        for candidate in self._candidates(objects, folder or Path()):
            self._load(candidate)
        self._types = self._collect_types()
        self._offers = self._collect_offers()
        self._undescribed = self._collect_undescribed()
        self._makers: dict[Key, _Offer] = {}
        self._known_settings: dict[Key, frozenset[str] | None] = {}
        self._observers = {
            hook: [(plugin, _by_keyword(found)) for plugin, found in self._implementations(hook)]
            for hook in ("provider_registered", "provider_failed", "media_generated")
        }

    @property
    def records(self) -> list[PluginRecord]:
        """Every plugin that was found, in the order of loading, those that could not be used last."""
        return [*self._records.values(), *self._rejected]

    @property
    def types(self) -> Mapping[str, ProviderType]:
        """The types of provider, by name."""
        return MappingProxyType(self._types)

    def describe(self) -> list[tuple[ProviderInfo, PluginRecord]]:
        """Return what is on offer, sorted by type and name: each provider with the plugin that would make it."""
        found = []
        for key, offers in sorted(self._offers.items(), key=itemgetter(0)):
            try:
                offer = self._choose(key, offers)
            except ProviderConflictError:
                offer = offers[0]
            found.append((offer.info, offer.plugin))
        return found

    def info(self, type: str, name: str) -> ProviderInfo | None:
        """Return what is described of the provider of this type and name; None when nothing is."""
        key = (type, name)
        offers = self._offers.get(key)
        if not offers:
            return None
        chosen = self._makers.get(key) or self._choose(key, offers)
        return chosen.info if chosen in offers else None

    def remarks(self) -> list[str]:
        """Return what is worth knowing of the plugins and wrong with nothing."""
        return [f"Plugin {record}: {remark}" for record in self.records for remark in record.remarks]

    def unknown_names(self) -> list[str]:
        """Return a remark for every name in the settings `disable` and `prefer` that no plugin has."""
        names = [record.name for record in self.records]
        remarks = []
        for setting in ("disable", "prefer"):
            for name in getattr(self._settings, setting):
                if name not in names:
                    ending = [known for known in names if known.endswith(f".{name}")]
                    near = f", did you mean {ending[0]!r}?" if ending else did_you_mean(name, names)
                    remarks.append(f"plugins.{setting}: there is no plugin {name!r}{near}")
        return remarks

    def known_settings(self, type: str, name: str) -> frozenset[str] | None:
        """Return the keys that an instance of this provider may have; None when any will do or none is told."""
        key = (type, name)
        if key not in self._known_settings:
            info = self.info(type, name)
            config_class = info.config_class if info else None
            self._known_settings[key] = setting_names(config_class) | REGISTRY_KEYS if config_class else None
        return self._known_settings[key]

    def owner(self, type: str, name: str) -> PluginRecord | None:
        """Return the plugin that makes this provider, as far as that is known; None otherwise."""
        offer = self._makers.get((type, name)) or next(iter(self._offers.get((type, name), ())), None)
        return offer.plugin if offer else None

    def make(self, type: str, name: str, config: dict[str, Any]) -> Any:
        """Have a plugin make a provider.

        Args:
            type: What it delivers.
            name: Which one.
            config: Its settings; the provider gets this very dict.

        Raises:
            UnknownProviderError: No plugin answers to the type or the name.
            ProviderConflictError: Several do, and `prefer` names none of them.
            PluginError: What the plugin made is not a provider of that type.
            Exception: Whatever the provider's own constructor raises.
        """
        key = (type, name)
        maker = self._makers.get(key)
        if maker is None:
            if type not in self._types:
                known = self._types
                raise UnknownProviderError(f"Unknown provider type: {type}{did_you_mean(type, known)}")
            return self._made_for_the_first_time(key, config)
        return self._checked(maker.make(type, name, config), maker.plugin, key, config)

    def observe(self, hook: str) -> bool:
        """Say whether any plugin observes this hook."""
        return bool(self._observers[hook])

    def notify(self, hook: str, **arguments: Any) -> None:
        """Tell the observers; one that raises is logged and changes nothing."""
        for plugin, function in self._observers[hook]:
            try:
                function(**arguments)
            except FAULTS as error:  # an onlooker's fault must not end the build
                secrets = [
                    secret
                    for argument in arguments.values()
                    for secret in secret_values(getattr(argument, "config", {}))
                ]
                self._complain(plugin, redact(f"{hook} raised {_reason(error)}", secrets))

    # Loading

    def _candidates(self, objects: Iterable[object], folder: Path) -> Iterator[Candidate]:
        settings = self._settings
        core_types = "deckwright.providers.types"
        yield discovery.named_module(core_types, kind="built-in")
        yield from discovery.built_in()
        yield from discovery.given(objects)
        yield from map(discovery.named_module, settings.modules)
        yield from chain.from_iterable(discovery.in_path(folder / path) for path in settings.paths)
        yield from discovery.in_environment()
        if settings.installed:
            yield from discovery.installed()

    def _load(self, candidate: Candidate) -> None:
        record = PluginRecord(candidate.name, candidate.provenance)
        # The same plugin named twice, in a configuration and the environment, say, is no mistake.
        if (record.name, record.provenance) in self._seen:
            return
        self._seen.add((record.name, record.provenance))
        if record.name in self._records:
            # Two packages may have had the same idea. Each is to be told from the other, by prefer and disable.
            origin = candidate.provenance.distribution or candidate.provenance.location
            record.name = f"{record.name}@{origin}"
        if record.name in self._settings.disable:
            record.status = "disabled"
            self._records[record.name] = record
            return
        started = time.perf_counter()
        try:
            plugin = candidate.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a plugin may even exit; Deckwright goes on
            logger.debug("%s", trace(error))
            self._reject(record, f"cannot be imported: {_reason(error)}")
            return
        record.seconds = time.perf_counter() - started
        if id(plugin) in self._registered:  # by another name: as a module and as an entry point, say
            return
        try:
            record.hooks = self._checks.hooks_of(plugin)
            self._manager.register(plugin, record.name)
            self._registered.add(id(plugin))
        except FAULTS as error:  # attributes of a stranger's object may raise anything
            self._reject(record, _reason(error))
            return
        self._records[record.name] = record

    def _reject(self, record: PluginRecord, problem: str) -> None:
        record.status = "failed"
        record.problems.append(problem)
        self._rejected.append(record)
        logger.warning("Plugin %s: %s", record, problem)

    def _complain(self, plugin: PluginRecord, problem: str) -> None:
        if problem not in plugin.problems:
            plugin.problems.append(problem)
            logger.warning("Plugin %s: %s", plugin, problem)

    # What plugins offer

    def _implementations(self, hook: str) -> Iterator[tuple[PluginRecord, pluggy.HookImpl]]:
        """Yield each plugin's implementation of a hook, in the order of loading.

        Calling them one by one, instead of pluggy's own call, keeps the answers of the others when one
        raises, and says who answered.
        """
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            yield self._records[implementation.plugin_name], implementation

    def _answers(self, hook: str, kind: type[Any]) -> Iterator[tuple[PluginRecord, Any]]:
        """Yield each record that the plugins return from a hook that returns several."""
        for plugin, implementation in self._implementations(hook):
            try:
                answers = list(cast("Iterable[Any]", implementation.function()))
                wrong = [answer for answer in answers if not _is_proper(answer, kind)]
                if wrong:
                    raise PluginError(
                        f"returned {wrong[0]!r}, which is not a proper {kind.__name__}: names are text, and a "
                        "config_class is an attrs class"
                    )
            except FAULTS as error:  # one plugin's fault must not hide the others' answers
                self._complain(plugin, f"{hook}: {_reason(error)}")
            else:
                for answer in answers:
                    yield plugin, answer

    def _collect_types(self) -> dict[str, ProviderType]:
        types: dict[str, ProviderType] = {}
        for plugin, added in self._answers("register_provider_types", ProviderType):
            if added.name in types:
                self._complain(plugin, f"adds the provider type {added.name!r}, which exists already")
            else:
                types[added.name] = added
        return types

    def _collect_offers(self) -> dict[Key, list[_Offer]]:
        makers = {
            plugin.name: _as_make(found) for plugin, found in self._implementations("register_media_provider")
        }
        offers: dict[Key, list[_Offer]] = {}
        for plugin, info in self._answers("describe_media_providers", ProviderInfo):
            if plugin.name in makers:
                claims = offers.setdefault((info.type, info.name), [])
                if not any(claim.plugin is plugin for claim in claims):
                    claims.append(_Offer(plugin, info, makers[plugin.name]))
            else:
                self._complain(plugin, "describes providers, and has no register_media_provider to make them")
        return offers

    def _collect_undescribed(self) -> list[tuple[PluginRecord, Make]]:
        describing = {offer.plugin.name for offers in self._offers.values() for offer in offers}
        return [
            (plugin, _as_make(found))
            for plugin, found in self._implementations("register_media_provider")
            if plugin.name not in describing
        ]

    def _choose(self, key: Key, offers: list[_Offer]) -> _Offer:
        """Settle who makes a provider that one plugin or several offer."""
        if len(offers) == 1:
            return offers[0]
        for preferred in self._settings.prefer:
            for offer in offers:
                if offer.plugin.name == preferred:
                    return offer
        claimants = " and ".join(str(offer.plugin) for offer in offers)
        settle = "Say which is meant: " + " or ".join(
            f'[plugins] prefer = ["{offer.plugin.name}"]' for offer in offers
        )
        label = f"{key[0]} provider {key[1]!r}"
        for offer in offers:
            if offer.plugin.provenance.kind == "built-in":
                remark = f"offers the {label} too; the built-in one stays. {settle}"
                for other in offers:
                    if other is not offer and remark not in other.plugin.remarks:
                        # Not a problem: to install a package must change nothing for those who do not use it.
                        other.plugin.remarks.append(remark)
                        logger.warning("Plugin %s: %s", other.plugin, remark)
                return offer
        raise ProviderConflictError(f"The {label} is offered by {claimants}.", hint=settle)

    def _made_for_the_first_time(self, key: Key, config: dict[str, Any]) -> Any:
        """Find who makes a provider, remember it, and have it made.

        Plugins that describe nothing may offer it as well as those that do; the way to tell is to ask.
        """
        type, name = key
        offers = list(self._offers.get(key, ()))
        made: dict[str, Any] = {}
        faults: list[tuple[_Offer, BaseException]] = []
        for plugin, make in self._undescribed:
            offer = _Offer(plugin, ProviderInfo(type, name), make)
            try:
                provider = make(type, name, dict(config))
            except FAULTS as error:  # it may be another plugin that this provider belongs to
                faults.append((offer, error))
            else:
                if provider is not None:
                    offers.append(offer)
                    made[plugin.name] = provider
        if not offers:
            known = sorted(known_name for known_type, known_name in self._offers if known_type == type)
            near = did_you_mean(name, known)
            if faults and not near:
                # Who raises when asked may well be who would make it.
                self._makers[key], fault = faults[0]
                raise fault
            raise UnknownProviderError(
                f"Unknown {type} provider: {name}{near}",
                hint=f"Known are: {', '.join(known)}." if known else None,
            )
        maker = self._makers[key] = self._choose(key, offers)
        provider = made[maker.plugin.name] if maker.plugin.name in made else maker.make(type, name, config)
        return self._checked(provider, maker.plugin, key, config)

    def _checked(self, made: Any, plugin: PluginRecord, key: Key, config: dict[str, Any]) -> Any:
        contract: Any = self._types[key[0]].contract
        if contract in made.__class__.__mro__:  # as isinstance, which asks an abstract class the long way
            return made
        if isinstance(made, type) and issubclass(made, contract):
            made = made(config) if _takes_config(made) else made()
        if isinstance(made, contract):
            return made
        what = "nothing" if made is None else repr(type(made).__name__)
        raise PluginError(
            f"Plugin {plugin} made {what} for {key[0]}/{key[1]}.",
            hint=f"It should return an instance of deckwright.{contract.__name__}.",
        )


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, PluginError) else told(error)


def _is_proper(answer: Any, kind: type[Any]) -> bool:
    if not isinstance(answer, kind):
        return False
    config_class = getattr(answer, "config_class", None)
    return (
        isinstance(answer.name, str)
        and isinstance(getattr(answer, "type", ""), str)
        and (config_class is None or (isinstance(config_class, type) and attrs.has(config_class)))
    )


def _arguments(implementation: pluggy.HookImpl) -> tuple[str, ...]:
    return (*implementation.argnames, *implementation.kwargnames)


def _by_keyword(implementation: pluggy.HookImpl) -> Callable[..., Any]:
    function, names = implementation.function, _arguments(implementation)
    return lambda **given: function(*[given[name] for name in names])


def _as_make(implementation: pluggy.HookImpl) -> Make:
    """Return the implementation as a function of exactly (type, name, config)."""
    if _arguments(implementation) == ("type", "name", "config"):
        make: Make = implementation.function
        return make
    call = _by_keyword(implementation)

    def make_by_keyword(type: str, name: str, config: dict[str, Any]) -> Any:
        return call(type=type, name=name, config=config)

    return make_by_keyword


def _takes_config(provider_class: type[Any]) -> bool:
    """Tell by its signature whether a class of the old contract has its settings handed in."""
    for parameter in inspect.signature(provider_class).parameters.values():
        if parameter.name == "config" or parameter.kind is parameter.VAR_POSITIONAL:
            return True
        if parameter.kind is not parameter.VAR_KEYWORD and parameter.default is parameter.empty:
            return True
    return False
