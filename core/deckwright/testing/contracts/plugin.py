"""The contract of plugins: what they say of themselves is so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from deckwright.config.settings import describe_settings
from deckwright.errors import CATCHABLE
from deckwright.hooks import ProviderInfo
from deckwright.plugins.checks import new_manager
from deckwright.testing.contracts.checking import UNKNOWN, PluginTests, answering, faults_of, require, said
from deckwright.testing.contracts.watching import Opened, opened
from deckwright.tracebacks import format_error

Key = tuple[str, str]


class PluginContract(PluginTests):
    """What every plugin keeps to, whether it describes its providers or not.

    Attributes:
        plugin: The plugin: a module or object with hooks.
        beside: Other plugins that are loaded with it, such as one that adds the type of its providers.
        seconds: How long each call of the plugin's code may take.
        settings: By type and name, the settings without which a provider cannot be made. For a plugin that
            describes nothing it says what the plugin makes: `{("audio", "bell"): {}}`.
    """

    settings: ClassVar[Mapping[Key, Mapping[str, Any]]] = {}

    def test_it_is_a_plugin(self) -> None:
        """Deckwright loads it, and finds nothing wrong with it."""
        _, record = self._loaded()
        if record.problems:
            self._fail_once("describing", faults_of(record))

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
            self._close(type, name, self._make(type, name))

    def test_it_leaves_what_it_does_not_know(self) -> None:
        """Asked for a type or name that is not its own, it returns None, and opens nothing."""
        names = [UNKNOWN, *(name for _, name in [*self._described(), *self.settings])]
        types = ["audio", *(type for type, _ in [*self._described(), *self.settings])]
        asked = [*((type, UNKNOWN) for type in types), *((UNKNOWN, name) for name in names)]
        for type, name in asked:
            settings: dict[str, Any] = {}
            doing = f"register_media_provider({type!r}, {name!r}, {{}})"
            with answering(doing):
                made, found = self._watched("register_media_provider", type=type, name=name, config=settings)
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
        for type, name in dict.fromkeys([*self._described(), *self.settings]):
            first, second = self._make(type, name), self._make(type, name)
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
                self._close(type, name, provider)

    def test_it_describes_itself_the_same_each_time(self) -> None:
        """Asked twice what it offers, it says the same, and opens nothing for that."""
        first, found = self._described_and_opened()
        second = self._infos()
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

    def _make(self, type: str, name: str) -> Any:
        plugins, record = self._loaded()
        settings = self.settings.get((type, name), {})
        try:
            return self._ask(f"making {type}/{name}", lambda: plugins.make(type, name, dict(settings)))
        except CATCHABLE as error:
            self._fail_once(
                ("making", f"{type}/{name}", format_error(error)),
                f"{record.name} cannot make {type}/{name} with the settings {sorted(settings)}: {said(error)}.\n"
                f"If it needs settings, give them: settings = {{({type!r}, {name!r}): {{...}}}}.",
            )

    def _close(self, type: str, name: str, provider: Any) -> None:
        if hasattr(provider, "close"):
            with answering(f"close() of {type}/{name}"):
                self._ask(f"close of {type}/{name}", provider.close)

    def _watched(self, hook: str, **arguments: Any) -> tuple[Any, list[Opened]]:
        """Call a hook of the plugin; return its answer, and what it opened."""
        self._loaded()
        manager = new_manager()
        manager.register(self.plugin)

        def call() -> tuple[Any, list[Opened]]:
            with opened() as found:
                return getattr(manager.hook, hook)(**arguments), found

        return self._ask(f"{hook}({', '.join(map(repr, arguments.values()))})", call)

    def _described_and_opened(self) -> tuple[list[ProviderInfo], list[Opened]]:
        try:
            answers, found = self._watched("describe_media_providers")
            infos = [info for infos in answers for info in infos]
        except CATCHABLE as error:
            self._fail_once("describing", f"describe_media_providers raised {said(error)}.")
        if wrong := [info for info in infos if not isinstance(info, ProviderInfo)]:
            self._fail_once(
                "describing", f"describe_media_providers returned {wrong}, which are no ProviderInfo."
            )
        return infos, found

    def _infos(self) -> list[ProviderInfo]:
        return self._described_and_opened()[0]

    def _described(self) -> list[Key]:
        return [(info.type, info.name) for info in self._infos()]
