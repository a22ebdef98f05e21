"""What plugins offer, and who makes what: every plugin is asked here, through a thin typed facade over pluggy."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import attrs
import pluggy

from deckwright.config.loader import Config, secrets_in
from deckwright.config.providers import REGISTRY_KEYS
from deckwright.config.settings import did_you_mean, setting_names
from deckwright.errors import CATCHABLE, PluginError, ProviderConflictError, UnknownProviderError
from deckwright.hooks import ProviderInfo, ProviderType, Traits
from deckwright.plugins.loading import load_plugins
from deckwright.plugins.records import PluginRecord, PluginSettings, Problem, problem_of
from deckwright.plugins.timeouts import OverdueError, within
from deckwright.secrets import redact

logger = logging.getLogger(__name__)

T = TypeVar("T")
Key = tuple[str, str]
Make = Callable[[str, str, "dict[str, Any]"], Any]

_MAKES = "register_media_provider"
_NOT_ITS_OWN = "It should return None for what is not its own."


@attrs.frozen
class _Claim:
    """One plugin's word that something is its own.

    Attributes:
        plugin: The plugin.
        rank: 1 where its hook is marked `tryfirst`, -1 where it is marked `trylast`, else 0.
    """

    plugin: PluginRecord
    rank: int


@attrs.frozen
class _Offer(_Claim):
    info: ProviderInfo
    make: Make


@attrs.frozen
class _AddedType(_Claim):
    type: ProviderType


C = TypeVar("C", bound=_Claim)


class Plugins:
    """All plugins of one registry.

    Args:
        settings: Which to load, beside the built-in ones.
        objects: Plugins handed over by a program.
        folder: What relative paths in the settings start from.
        time_limit: How many seconds a plugin that is not built in may take, each time it is called, where the
            settings do not say; None for no limit.
        secrets: Gives what must not be shown, whatever a plugin says.
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
        self._secrets = secrets
        self._settings = settings = settings or PluginSettings()
        self._limit = time_limit if settings.time_limit is None else settings.time_limit
        # Plugins that took too long once, and are not called again.
        self._late: set[str] = set()
        loaded = load_plugins(
            settings, objects=objects, folder=folder or Path(), limit=self._limit, masked=self._masked
        )
        self._hooks = loaded.manager.hook
        self._records = loaded.records
        self._rejected = loaded.rejected
        self._unsettled_types: dict[str, ProviderConflictError] = {}
        self._types = self._collect_types()
        self._offers = self._collect_offers()
        self._undescribed = self._collect_undescribed()
        self._makers: dict[Key, _Offer] = {}
        self._known_settings: dict[Key, frozenset[str] | None] = {}
        self._observers = {
            hook: [
                (plugin, self._limited(plugin, hook, _by_keyword(found)))
                for plugin, found in self._implementations(hook)
            ]
            for hook in ("provider_registered", "provider_failed", "media_generated")
        }

    @classmethod
    def from_config(
        cls, config: Config, *, objects: Iterable[object] = (), time_limit: float | None = None
    ) -> Plugins:
        """Load the plugins that a configuration chooses; its secrets are masked in what is told of them.

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
        """Whether the settings want whatever is wrong with a plugin to be an error."""
        return self._settings.strict

    @property
    def records(self) -> list[PluginRecord]:
        """Every plugin that was found: built-in ones, others by name, and last those that could not be used."""
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

    def problems(self) -> list[str]:
        """Return what is wrong with plugins, in words."""
        return [f"Plugin {record}: {problem}" for record in self.records for problem in record.problems]

    def faults(self) -> list[str]:
        """Return all that is wrong with plugins, whether or not anything met with it, in words."""
        return [*self.problems(), *map(str, self.conflicts()), *self.unknown_names()]

    def conflicts(self) -> list[Problem]:
        """Return what several plugins offer while nothing says which of them is meant."""
        found = list(self._unsettled_types.values())
        for key, offers in sorted(self._offers.items(), key=itemgetter(0)):
            try:
                self._choose(key, offers)
            except ProviderConflictError as conflict:
                found.append(conflict)
        return [problem_of(conflict) for conflict in found]

    def remarks(self) -> list[str]:
        """Return what is worth knowing of the plugins and wrong with nothing."""
        return [f"Plugin {record}: {remark}" for record in self.records for remark in record.remarks]

    def unknown_names(self) -> list[str]:
        """Return a remark for every name in the settings `disable`, `only` and `prefer` that no plugin has."""
        names = [record.name for record in self.records]
        remarks = []
        for setting in ("disable", "only", "prefer"):
            for name in getattr(self._settings, setting) or ():
                if not any(_is_called(record, name) for record in self.records):
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
        key = (type, name)
        offer = self._makers.get(key)
        if offer is None and key in self._offers:
            try:
                offer = self._choose(key, self._offers[key])
            except ProviderConflictError:
                return None
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
            if type in self._unsettled_types:
                raise self._unsettled_types[type]
            if type not in self._types:
                near = did_you_mean(type, self._types)
                raise UnknownProviderError(
                    f"Unknown provider type: {type}{near}", hint=self._may_be_of_the_failed()
                )
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
            except OverdueError:
                pass  # it is told already
            except CATCHABLE as error:  # an onlooker's fault must not end the build
                problem = problem_of(error, hook)
                self._complain(plugin, problem.what, problem.mend)

    def limited(self, type: str, name: str, call: Callable[..., T], *, times: float = 1) -> Callable[..., T]:
        """Return a function of a provider that its plugin is given so many times the limit for, and no longer."""
        plugin = self.owner(type, name)
        limit = (self._limit or 0) * times
        if not limit or plugin is None or plugin.is_built_in:
            return call
        doing = getattr(call, "__name__", "")
        return lambda *arguments: within(limit, lambda: call(*arguments), doing)

    def _limited(self, plugin: PluginRecord, doing: str, function: Callable[..., T]) -> Callable[..., T]:
        """Return a plugin's hook as one that is left behind when it takes too long, and not called again."""
        if not self._limit or plugin.is_built_in:
            return function

        def limited(*arguments: Any, **named: Any) -> T:
            if plugin.name in self._late:
                raise OverdueError("was called no more, since it took too long before")
            try:
                return within(self._limit, lambda: function(*arguments, **named), doing)
            except OverdueError as error:
                self._late.add(plugin.name)
                self._complain(plugin, error.message, error.hint or "")
                raise

        return limited

    def _masked(self, text: str) -> str:
        return redact(text, self._secrets())

    def _complain(self, plugin: PluginRecord, what: str, mend: str = "") -> None:
        problem = Problem(self._masked(what), self._masked(mend) or plugin.leave_out)
        if problem not in plugin.problems:
            plugin.problems.append(problem)
            logger.warning("Plugin %s: %s", plugin, problem)

    def _remark(self, plugin: PluginRecord, remark: str) -> None:
        if remark not in plugin.remarks:
            plugin.remarks.append(remark)
            logger.warning("Plugin %s: %s", plugin, remark)

    # What plugins offer

    def _implementations(self, hook: str) -> Iterator[tuple[PluginRecord, pluggy.HookImpl]]:
        """Yield each plugin's implementation of a hook: `tryfirst` ones, others, `trylast` ones, each by name.

        Calling them one by one, instead of pluggy's own call, keeps the answers of the others when one
        raises, and says who answered.
        """
        order = {name: position for position, name in enumerate(self._records)}
        found = getattr(self._hooks, hook).get_hookimpls()
        for implementation in sorted(found, key=lambda one: (-_rank(one), order[one.plugin_name])):
            yield self._records[implementation.plugin_name], implementation

    def _answers(self, hook: str, kind: type[T]) -> Iterator[tuple[PluginRecord, int, T]]:
        """Yield each record that the plugins return from a hook that returns several, with the hook's rank."""
        for plugin, implementation in self._implementations(hook):
            function = implementation.function
            try:
                answers = self._limited(plugin, hook, lambda function=function: _listed(function(), kind))()
            except OverdueError:
                pass  # it is told already
            except CATCHABLE as error:  # one plugin's fault must not hide the others' answers
                problem = problem_of(error, hook)
                self._complain(plugin, problem.what, problem.mend)
            else:
                for answer in answers:
                    yield plugin, _rank(implementation), answer

    def _collect_types(self) -> dict[str, ProviderType]:
        claims: dict[str, list[_AddedType]] = {}
        for plugin, rank, added in self._answers("register_provider_types", ProviderType):
            claims.setdefault(added.name, []).append(_AddedType(plugin, rank, added))
        types: dict[str, ProviderType] = {}
        for name, of_name in claims.items():
            ours = [claim for claim in of_name if claim.plugin.is_built_in]
            for claim in of_name:
                if ours and claim not in ours:
                    problem = f"adds the provider type {name!r}, which exists already"
                    self._complain(claim.plugin, problem, "Give it a name of its own.")
            try:
                types[name] = self._settle(f"provider type {name!r}", ours or of_name).type
            except ProviderConflictError as conflict:
                self._unsettled_types[name] = conflict
        return types

    def _collect_offers(self) -> dict[Key, list[_Offer]]:
        makers = {
            plugin.name: (_rank(found), self._limited(plugin, _MAKES, _as_make(found)))
            for plugin, found in self._implementations(_MAKES)
        }
        offers: dict[Key, list[_Offer]] = {}
        for plugin, _, info in self._answers("describe_media_providers", ProviderInfo):
            if info.type not in self._types:
                if info.type not in self._unsettled_types:
                    near = did_you_mean(info.type, self._types)
                    what = f"describes {info.type}/{info.name}, a type that no plugin adds{near}"
                    self._complain(plugin, what, "Correct the type, or add it by register_provider_types.")
            elif plugin.name in makers:
                rank, make = makers[plugin.name]
                claims = offers.setdefault((info.type, info.name), [])
                if not any(claim.plugin is plugin for claim in claims):
                    claims.append(_Offer(plugin, rank, info, make))
                    plugin.offers += (f"{info.type}/{info.name}",)
            else:
                self._complain(
                    plugin,
                    f"describes providers, and has no {_MAKES} to make them",
                    "Write that hook, and mark it with @hookimpl.",
                )
        return offers

    def _collect_undescribed(self) -> list[_Offer]:
        describing = {offer.plugin.name for offers in self._offers.values() for offer in offers}
        return [
            _Offer(plugin, _rank(found), ProviderInfo("", ""), self._limited(plugin, _MAKES, _as_make(found)))
            for plugin, found in self._implementations(_MAKES)
            if plugin.name not in describing
        ]

    def _choose(self, key: Key, offers: list[_Offer]) -> _Offer:
        """Settle who makes a provider that one plugin or several offer."""
        return offers[0] if len(offers) == 1 else self._settle(f"{key[0]} provider {key[1]!r}", offers)

    def _settle(self, what: str, claims: list[C]) -> C:
        """Say whose something is that several plugins claim.

        Raises:
            ProviderConflictError: Nothing says so.
        """
        if len(claims) == 1:
            return claims[0]
        for preferred in self._settings.prefer:
            named = [claim for claim in claims if claim.plugin.name == preferred] or [
                claim for claim in claims if _is_called(claim.plugin, preferred)
            ]
            if len(named) == 1:
                return named[0]
        settle = "Say which is meant: " + " or ".join(
            f'[plugins] prefer = ["{claim.plugin.name}"]' for claim in claims
        )
        built_in = [claim for claim in claims if claim.plugin.is_built_in]
        highest = max(claim.rank for claim in claims)
        first = built_in or [claim for claim in claims if claim.rank == highest]
        if len(first) > 1:
            claimants = " and ".join(str(claim.plugin) for claim in claims)
            raise ProviderConflictError(f"The {what} is offered by {claimants}.", hint=settle)
        stays = "the built-in one stays" if built_in else f"that of {first[0].plugin} comes first"
        for claim in claims:
            if claim is not first[0]:
                # Not a problem: to install a package must change nothing for those who do not use it.
                self._remark(claim.plugin, f"offers the {what} too; {stays}. {settle}")
        return first[0]

    def _made_for_the_first_time(self, key: Key, config: dict[str, Any]) -> Any:
        """Find who makes a provider, remember it, and have it made.

        Plugins that describe nothing may offer it as well as those that do; the way to tell is to ask.
        """
        type, name = key
        offers = list(self._offers.get(key, ()))
        made: dict[str, Any] = {}
        faults: list[tuple[_Offer, BaseException]] = []
        for asked in self._undescribed:
            offer = attrs.evolve(asked, info=ProviderInfo(type, name))
            try:
                provider = offer.make(type, name, dict(config))
            except CATCHABLE as error:  # it may be another plugin that this provider belongs to
                faults.append((offer, error))
            else:
                if provider is not None:
                    offers.append(offer)
                    made[offer.plugin.name] = provider
        if not offers:
            known = sorted(known_name for known_type, known_name in self._offers if known_type == type)
            near = did_you_mean(name, known)
            if faults and not near:
                # Who raises when asked may well be who would make it.
                self._makers[key], fault = faults[0]
                raise fault
            listed = f"Known are: {', '.join(known)}." if known else ""
            raise UnknownProviderError(
                f"Unknown {type} provider: {name}{near}",
                hint=" ".join(filter(None, (listed, self._may_be_of_the_failed()))) or None,
            )
        for offer, fault in faults:
            # What took too long is told already, and who raises for one provider may well do so for all.
            told = any(problem.mend == _NOT_ITS_OWN for problem in offer.plugin.problems)
            if not told and not isinstance(fault, OverdueError):
                problem = problem_of(fault, f"{_MAKES}, asked for {type}/{name}")
                self._complain(offer.plugin, problem.what, _NOT_ITS_OWN)
        maker = self._makers[key] = self._choose(key, offers)
        provider = made.pop(maker.plugin.name, None)
        for other in made.values():
            with suppress(*CATCHABLE):  # it was made to find out who makes it, and nobody uses it
                other.close()
        return self._checked(
            maker.make(type, name, config) if provider is None else provider, maker.plugin, key, config
        )

    def _may_be_of_the_failed(self) -> str | None:
        """Return a hint at the plugins that were not loaded: one of them may be what was asked for."""
        failed = ", ".join(record.name for record in self._rejected)
        left_out = ", ".join(name for name, record in self._records.items() if record.status != "loaded")
        hints = [f"It may be of a plugin that could not be loaded: {failed}."] if failed else []
        hints += [f"Not loaded, as [plugins] says: {left_out}."] if left_out else []
        return " ".join(hints) or None

    def _checked(self, made: Any, plugin: PluginRecord, key: Key, config: dict[str, Any]) -> Any:
        contract: Any = self._types[key[0]].contract
        if isinstance(made, type) and issubclass(made, contract):
            made = self._limited(plugin, made.__name__, made)(*((config,) if _takes_config(made) else ()))
        # As isinstance, which asks an abstract class the long way.
        if contract not in made.__class__.__mro__ and not isinstance(made, contract):
            what = "nothing" if made is None else repr(type(made).__name__)
            raise PluginError(
                f"Plugin {plugin} made {what} for {key[0]}/{key[1]}.",
                hint=f"It should return an instance of {contract.__module__}.{contract.__name__}.",
            )
        # A plugin's own type need not derive from ours.
        if hasattr(made, "unsupported_reason") and (unfit := made.unsupported_reason(key[0])):
            raise PluginError(
                f"Plugin {plugin} made {made.__class__.__name__!r} for {key[0]}/{key[1]}, {unfit}."
            )
        return made


def _is_called(plugin: PluginRecord, name: str) -> bool:
    """Say whether a setting means this plugin: by its name, or by what it shares with others of that name."""
    return name in (plugin.name, plugin.name.partition("@")[0])


def _rank(implementation: pluggy.HookImpl) -> int:
    return int(implementation.tryfirst) - int(implementation.trylast)


def _listed(answers: Iterable[Any], kind: type[T]) -> list[T]:
    """Return what a hook answered that returns several records of a kind.

    Raises:
        PluginError: It is something else.
    """
    if not isinstance(answers, Iterable):
        raise PluginError(f"returned {answers!r}, where a list of {kind.__name__} should be")
    listed = list(answers)
    for answer in listed:
        if fault := _fault_of(answer, kind):
            raise PluginError(f"returned {fault}")
    return listed


def _fault_of(answer: Any, kind: type[Any]) -> str:
    """Say what is wrong with a record that a plugin returned; empty when nothing is."""
    if not isinstance(answer, kind):
        return f"{answer!r}, which is not a proper {kind.__name__}"
    for field in ("name", "type", "summary", "extra"):
        if not isinstance(value := getattr(answer, field, ""), str):
            return f"a {kind.__name__} with the {field} {value!r}, which is not text"
    if not isinstance(traits := getattr(answer, "traits", Traits()), Traits):
        return f"{answer.name!r} with the traits {traits!r}, which are not of the class Traits"
    contract = getattr(answer, "contract", object)
    if not isinstance(contract, type):
        return f"{answer.name!r} with the contract {contract!r}, which is not a class"
    config_class = getattr(answer, "config_class", None)
    if config_class is not None and not (isinstance(config_class, type) and attrs.has(config_class)):
        return f"{answer.name!r} with the config_class {config_class!r}, which is not an attrs class"
    return ""


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
