"""The catalog: the types of provider and the providers that plugins offer, and whose each of them is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

import attrs

from deckwright.config.settings import did_you_mean
from deckwright.errors import ProviderConflictError
from deckwright.hooks import ProviderInfo, ProviderType
from deckwright.plugins.calls import PluginCalls
from deckwright.plugins.records import PluginRecord, PluginReporter


class ProviderKey(NamedTuple):
    """A provider as plugins know it."""

    type: str
    name: str


@attrs.frozen
class _Claim:
    """Something that one plugin offers."""

    plugin: PluginRecord
    rank: int  # 1 if its hook is marked `tryfirst`, -1 if it is marked `trylast`, else 0


@attrs.frozen
class Offer(_Claim):
    """A provider that a plugin offers, with the plugin's function that makes it."""

    info: ProviderInfo
    make: Callable[..., Any]  # called with type, name and config, by keyword


@attrs.frozen
class _AddedType(_Claim):
    type: ProviderType


C = TypeVar("C", bound=_Claim)


class Catalog:
    """What the plugins offer.

    Args:
        calls: Calls the plugins.
        prefer: Plugins that win where several offer the same.
        reporter: Takes what is wrong with the plugins.

    Attributes:
        types: The types of provider, by name.
        conflicting_types: Types that several plugins add while nothing chooses one of them.
        offers: The providers that are described.
        undescribed: The plugins that make providers and describe none; each may make any.
    """

    def __init__(self, calls: PluginCalls, prefer: Sequence[str], reporter: PluginReporter) -> None:
        self._prefer = prefer
        self._reporter = reporter
        self.types: dict[str, ProviderType] = {}
        self.conflicting_types: dict[str, ProviderConflictError] = {}
        self._collect_types(calls)
        makers = {plugin.name: (plugin, rank, make) for plugin, rank, make in calls.makers()}
        self.offers: dict[ProviderKey, list[Offer]] = {}
        self._collect_offers(calls, makers)
        describing = {offer.plugin.name for offers in self.offers.values() for offer in offers}
        self.undescribed = [
            Offer(plugin, rank, ProviderInfo("", ""), make)
            for name, (plugin, rank, make) in makers.items()
            if name not in describing
        ]

    def described(self) -> list[tuple[ProviderInfo, PluginRecord]]:
        """Return every described provider, sorted by type and name, with the plugin that would make it."""
        found = []
        for key, offers in sorted(self.offers.items(), key=itemgetter(0)):
            try:
                offer = self.choose(key, offers)
            except ProviderConflictError:
                offer = offers[0]
            found.append((offer.info, offer.plugin))
        return found

    def conflicts(self) -> list[ProviderConflictError]:
        """Return an error for each thing that several plugins offer while nothing chooses one of them."""
        found = list(self.conflicting_types.values())
        for key, offers in sorted(self.offers.items(), key=itemgetter(0)):
            try:
                self.choose(key, offers)
            except ProviderConflictError as conflict:
                found.append(conflict)
        return found

    def choose(self, key: ProviderKey, offers: list[Offer]) -> Offer:
        """Return the offer of the plugin that makes a provider.

        Raises:
            ProviderConflictError: Several plugins offer it, and nothing chooses one of them.
        """
        return offers[0] if len(offers) == 1 else self._settle(f"{key.type} provider {key.name!r}", offers)

    def _collect_types(self, calls: PluginCalls) -> None:
        claims: dict[str, list[_AddedType]] = {}
        for plugin, rank, added in calls.answers("register_provider_types", ProviderType):
            claims.setdefault(added.name, []).append(_AddedType(plugin, rank, added))
        for name, of_name in claims.items():
            built_in = [claim for claim in of_name if claim.plugin.is_built_in]
            for claim in of_name:
                if built_in and claim not in built_in:
                    message = f"adds the provider type {name!r}, which exists already"
                    self._reporter.error(claim.plugin, message, "Give it a name of its own.")
            try:
                self.types[name] = self._settle(f"provider type {name!r}", built_in or of_name).type
            except ProviderConflictError as conflict:
                self.conflicting_types[name] = conflict

    def _collect_offers(
        self, calls: PluginCalls, makers: dict[str, tuple[Any, int, Callable[..., Any]]]
    ) -> None:
        for plugin, _, info in calls.answers("describe_media_providers", ProviderInfo):
            if info.type in self.conflicting_types:
                continue
            if info.type not in self.types:
                near = did_you_mean(info.type, self.types)
                self._reporter.error(
                    plugin,
                    f"describes {info.type}/{info.name}, a type that no plugin adds{near}",
                    "Correct the type, or add it by register_provider_types.",
                )
            elif plugin.name not in makers:
                self._reporter.error(
                    plugin,
                    "describes providers, and has no register_media_provider to make them",
                    "Write that hook, and mark it with @hookimpl.",
                )
            else:
                _, rank, make = makers[plugin.name]
                offers = self.offers.setdefault(ProviderKey(info.type, info.name), [])
                if not any(offer.plugin is plugin for offer in offers):
                    offers.append(Offer(plugin, rank, info, make))
                    plugin.offers += (f"{info.type}/{info.name}",)

    def _settle(self, what: str, claims: list[C]) -> C:
        """Return the claim that counts, of one plugin or several.

        Raises:
            ProviderConflictError: Nothing chooses one of them.
        """
        if len(claims) == 1:
            return claims[0]
        if preferred := self._preferred(claims):
            return preferred
        hint = "Choose one of them: " + " or ".join(
            f'[plugins] prefer = ["{claim.plugin.name}"]' for claim in claims
        )
        built_in = [claim for claim in claims if claim.plugin.is_built_in]
        highest = max(claim.rank for claim in claims)
        first, *others = built_in or [claim for claim in claims if claim.rank == highest]
        if others:
            plugins = " and ".join(str(claim.plugin) for claim in claims)
            raise ProviderConflictError(f"The {what} is offered by {plugins}.", hint=hint)
        winner = "the built-in one stays" if built_in else f"that of {first.plugin} comes first"
        for claim in claims:
            if claim is not first:
                # Not an error: to install a package must change nothing for those who do not use it.
                self._reporter.note(claim.plugin, f"offers the {what} too; {winner}. {hint}")
        return first

    def _preferred(self, claims: list[C]) -> C | None:
        for name in self._prefer:
            named = [claim for claim in claims if claim.plugin.name == name] or [
                claim for claim in claims if claim.plugin.is_called(name)
            ]
            if len(named) == 1:
                return named[0]
        return None
