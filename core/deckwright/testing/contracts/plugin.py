"""The contract of plugins: what they say of themselves is so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import pytest

from deckwright.errors import FAULTS, told
from deckwright.hooks import ProviderInfo
from deckwright.plugins.checks import new_manager
from deckwright.settings import describe_settings
from deckwright.testing.contracts.checking import UNKNOWN, PluginTests, answering, require
from deckwright.testing.contracts.watching import opened

Key = tuple[str, str]


class PluginContract(PluginTests):
    """What every plugin keeps to, whether it describes its providers or not.

    Attributes:
        plugin: The plugin: a module or object with hooks.
        beside: Other plugins that are loaded with it, such as one that adds the type of its providers.
        settings: By type and name, the settings without which a provider cannot be made. For a plugin that
            describes nothing it says what the plugin makes: `{("audio", "bell"): {}}`.
    """

    settings: ClassVar[Mapping[Key, Mapping[str, Any]]] = {}

    def test_it_is_a_plugin(self) -> None:
        """Deckwright loads it, and finds nothing wrong with it."""
        _, record = self._loaded()
        require(
            record.status == "loaded" and not record.problems,
            f"The plugin {record.name} has faults: " + "; ".join(map(str, record.problems)),
        )

    def test_it_makes_what_it_offers(self) -> None:
        """Every provider that it describes or that is in `settings` can be made, and is what its type asks for."""
        plugins, record = self._loaded()
        described = self._described()
        for type, name in dict.fromkeys([*described, *self.settings]):
            require(
                not described or (type, name) in described,
                f"`settings` names {type}/{name}, which describe_media_providers does not return: add it "
                "there, since a plugin that describes itself is asked for nothing else.",
            )
            require(
                type in plugins.types,
                f"{record.name} makes {type}/{name}, and nothing adds the type {type}. If it is another plugin's, name "
                "that: beside = (its_module,).",
            )
            settings = self.settings.get((type, name), {})
            try:
                provider = plugins.make(type, name, dict(settings))
            except FAULTS as error:
                pytest.fail(
                    f"{record.name} cannot make {type}/{name} with the settings {sorted(settings)}: "
                    f"{told(error)}\nIf it needs settings, give them: settings = {{({type!r}, {name!r}): {{...}}}}.",
                    pytrace=False,
                )
            if hasattr(provider, "close"):
                provider.close()

    def test_it_leaves_what_it_does_not_know(self) -> None:
        """Asked for a type or name that is not its own, it returns None, and opens nothing."""
        names = [UNKNOWN, *(name for _, name in [*self._described(), *self.settings])]
        types = ["audio", *(type for type, _ in [*self._described(), *self.settings])]
        asked = [*((type, UNKNOWN) for type in types), *((UNKNOWN, name) for name in names)]
        for type, name in asked:
            settings: dict[str, Any] = {}
            with answering(f"register_media_provider({type!r}, {name!r}, {{}})"), opened() as found:
                made = self._hooks.register_media_provider(type=type, name=name, config=settings)
            require(
                not made,
                f"register_media_provider({type!r}, {name!r}, ...) made {made}: return None for every type and "
                "name but its own, or it takes the place of other plugins' providers.",
            )
            require(
                not found and not settings,
                f"register_media_provider({type!r}, {name!r}, ...) opened something or changed the settings, "
                f"though they are not its own: {[each.what for each in found] or settings}. Look at type and "
                "name first.",
            )

    def test_two_providers_are_two(self) -> None:
        """Made twice, a provider is two objects, each with settings of its own."""
        plugins, _ = self._loaded()
        for type, name in dict.fromkeys([*self._described(), *self.settings]):
            settings = self.settings.get((type, name), {})
            with answering(f"making {type}/{name}"):
                first = plugins.make(type, name, dict(settings))
                second = plugins.make(type, name, dict(settings))
            require(
                first is not second,
                f"{type}/{name}, made twice, is one and the same object: make a new one on each call, since two "
                "configured instances may have different settings.",
            )
            shared = [
                attribute
                for attribute in ("config", "settings")
                if getattr(first, attribute, None) and getattr(first, attribute) is getattr(second, attribute)
            ]
            require(
                not shared,
                f"Two providers {type}/{name} share {' and '.join(shared)}: keep the dict that the hook is "
                "handed, and nothing of it in the class or module.",
            )
            for provider in (first, second):
                if hasattr(provider, "close"):
                    provider.close()

    def test_it_describes_itself_the_same_each_time(self) -> None:
        """Asked twice what it offers, it says the same, and opens nothing for that."""
        with answering("describe_media_providers()"), opened() as found:
            first, second = self._infos(), self._infos()
        require(
            first == second,
            f"describe_media_providers returned {first}, and then {second}: what a plugin offers does not change "
            "while a program runs.",
        )
        require(
            not found,
            f"describe_media_providers opened {', '.join(each.what for each in found)}: every command asks it, so "
            "it is to return what is known already.",
        )

    def test_every_setting_is_explained(self) -> None:
        """The attrs classes of its settings say of each what it is for."""
        for info in self._infos():
            if info.config_class is not None:
                silent = [row["name"] for row in describe_settings(info.config_class) if not row["help"]]
                require(
                    not silent,
                    f"The settings of {info.type}/{info.name} have no help: {', '.join(silent)}. Say what they are "
                    f'for, in {info.config_class.__name__}: attrs.field(..., metadata={{"help": "..."}}).',
                )

    @property
    def _hooks(self) -> Any:
        manager = new_manager()
        manager.register(self.plugin)
        return manager.hook

    def _infos(self) -> list[ProviderInfo]:
        answers: list[Iterable[ProviderInfo]] = self._hooks.describe_media_providers()
        return [info for infos in answers for info in infos]

    def _described(self) -> list[Key]:
        return [(info.type, info.name) for info in self._infos()]
