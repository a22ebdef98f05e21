"""The contract of plugins: their descriptions are correct."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from deckwright.config.settings import describe_settings
from deckwright.errors import CATCHABLE
from deckwright.hooks import ProviderInfo
from deckwright.plugins.checks import new_manager
from deckwright.testing.contracts.assertions import (
    UNKNOWN,
    PluginTests,
    describe_error,
    describe_problems,
    must_not_raise,
    require,
)
from deckwright.testing.contracts.resource_audit import OpenedResource, record_opened
from deckwright.tracebacks import format_error


class PluginContract(PluginTests):
    """What every plugin must do, whether it describes its providers or not.

    Attributes:
        plugin: The plugin: a module or object with hooks.
        other_plugins: Plugins to load with it, such as one that adds the type of its providers.
        timeout: How many seconds each call of the plugin's code may take.
        settings: The settings that a provider needs, by its type and name. For a plugin without descriptions,
            list every provider that it makes: `{("audio", "bell"): {}}`.
    """

    settings: ClassVar[Mapping[tuple[str, str], Mapping[str, Any]]] = {}

    def test_it_is_a_plugin(self) -> None:
        """Deckwright loads it and finds no problem."""
        _, record = self._loaded()
        if record.problems:
            self._fail_once("describing", describe_problems(record))

    def test_every_provider_can_be_made(self) -> None:
        """Every provider that it describes or that is in `settings` can be made, and has the right class."""
        plugins, record = self._loaded()
        described = self._described()
        for type, name in dict.fromkeys([*described, *self.settings]):
            require(
                not described or (type, name) in described,
                f"`settings` has {type}/{name}, but describe_media_providers does not return it. Add it there: "
                "Deckwright only uses the providers that a plugin describes.",
            )
            require(
                type in plugins.types,
                f"{record.name} makes {type}/{name}, but no plugin adds the type {type}. If another plugin adds it, "
                "set other_plugins = (its_module,).",
            )
            self._close(type, name, self._make(type, name))

    def test_unknown_types_and_names_return_none(self) -> None:
        """For a type or name that is not its own, it returns None and opens nothing."""
        names = [UNKNOWN, *(name for _, name in [*self._described(), *self.settings])]
        types = ["audio", *(type for type, _ in [*self._described(), *self.settings])]
        requests = [*((type, UNKNOWN) for type in types), *((UNKNOWN, name) for name in names)]
        for type, name in requests:
            settings: dict[str, Any] = {}
            call = f"register_media_provider({type!r}, {name!r}, {{}})"
            with must_not_raise(call):
                made, opened = self._audited("register_media_provider", type=type, name=name, config=settings)
            require(
                not made,
                f"register_media_provider({type!r}, {name!r}, ...) made {made}. Return None for all types "
                "and names that are not its own. Otherwise it replaces the providers of other plugins.",
            )
            require(
                not opened and not settings,
                f"register_media_provider({type!r}, {name!r}, ...) opened something or changed the settings, but "
                f"the provider is not its own: {[each.description for each in opened] or settings}. Check type "
                "and name first.",
            )

    def test_instances_are_independent(self) -> None:
        """Two providers of the same name are two objects with their own settings."""
        for type, name in dict.fromkeys([*self._described(), *self.settings]):
            first, second = self._make(type, name), self._make(type, name)
            require(
                first is not second,
                f"{type}/{name} is the same object each time it is made. Make a new one for each call, because two "
                "configured instances may have different settings.",
            )
            shared = [
                attribute
                for attribute in ("config", "settings")
                if getattr(first, attribute, None) and getattr(first, attribute) is getattr(second, attribute)
            ]
            require(
                not shared,
                f"Two providers {type}/{name} share {' and '.join(shared)}. Keep the dict that the hook "
                "receives in the object, not in the class or module.",
            )
            for provider in (first, second):
                self._close(type, name, provider)

    def test_description_does_not_change(self) -> None:
        """It describes itself the same each time, and opens nothing to do so."""
        first, opened = self._described_and_opened()
        second = self._infos()
        require(
            first == second,
            f"describe_media_providers returned {first}, and then {second}. The description must not change "
            "while a program runs.",
        )
        require(
            not opened,
            f"describe_media_providers opened {', '.join(each.description for each in opened)}. Every command "
            "calls it, so it must return only what is already known.",
        )

    def test_every_setting_has_help(self) -> None:
        """Every setting has a help text."""
        for info in self._infos():
            if info.config_class is not None:
                without_help = [
                    row["name"] for row in describe_settings(info.config_class) if not row["help"]
                ]
                require(
                    not without_help,
                    f"The settings of {info.type}/{info.name} have no help: {', '.join(without_help)}. Add it in "
                    f'{info.config_class.__name__}: Annotated[..., Meta(description="...")].',
                )

    def _make(self, type: str, name: str) -> Any:
        plugins, record = self._loaded()
        settings = self.settings.get((type, name), {})
        try:
            return self._call(f"making {type}/{name}", lambda: plugins.make(type, name, dict(settings)))
        except CATCHABLE as error:
            self._fail_once(
                ("making", f"{type}/{name}", format_error(error)),
                f"{record.name} cannot make {type}/{name} with the settings {sorted(settings)}: "
                f"{describe_error(error)}.\n"
                f"If it needs settings, add them: settings = {{({type!r}, {name!r}): {{...}}}}.",
            )

    def _close(self, type: str, name: str, provider: Any) -> None:
        if hasattr(provider, "close"):
            with must_not_raise(f"close() of {type}/{name}"):
                self._call(f"close of {type}/{name}", provider.close)

    def _audited(self, hook: str, **arguments: Any) -> tuple[Any, list[OpenedResource]]:
        """Call a hook of the plugin; return its result, and what it opened."""
        self._loaded()
        manager = new_manager()
        manager.register(self.plugin)

        def call() -> tuple[Any, list[OpenedResource]]:
            with record_opened() as opened:
                return getattr(manager.hook, hook)(**arguments), opened

        return self._call(f"{hook}({', '.join(map(repr, arguments.values()))})", call)

    def _described_and_opened(self) -> tuple[list[ProviderInfo], list[OpenedResource]]:
        try:
            answers, opened = self._audited("describe_media_providers")
            infos = [info for infos in answers for info in infos]
        except CATCHABLE as error:
            self._fail_once("describing", f"describe_media_providers raised {describe_error(error)}.")
        if wrong := [info for info in infos if not isinstance(info, ProviderInfo)]:
            self._fail_once(
                "describing",
                f"describe_media_providers returned {wrong}. These are not ProviderInfo objects.",
            )
        return infos, opened

    def _infos(self) -> list[ProviderInfo]:
        return self._described_and_opened()[0]

    def _described(self) -> list[tuple[str, str]]:
        return [(info.type, info.name) for info in self._infos()]
