"""Which plugins are loaded, and whose provider it is: the same, in whatever order plugins are found."""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from plugin_samples import BELL, DESCRIBED_BELL, Sounds, Write, found, load

from deckwright import (
    MediaProvider,
    ProviderConflictError,
    ProviderInfo,
    ProvidersFailedError,
    ProviderType,
    UnknownProviderError,
    hookimpl,
)
from deckwright.plugins import Plugins
from deckwright.registry import ProviderRegistry

pytestmark = pytest.mark.usefixtures("clean_folder")


class First(Sounds):
    @hookimpl(tryfirst=True)
    def register_media_provider(self, type, name, config):
        return super().register_media_provider(type, name, config)


class Last(Sounds):
    @hookimpl(trylast=True)
    def register_media_provider(self, type, name, config):
        return super().register_media_provider(type, name, config)


def maker(plugins: Plugins, name: str = "bell") -> str:
    """Return which plugin made a provider."""
    made: str = plugins.make("audio", name, {}).config.get("by", "a built-in")
    return made


class TestPriorities:
    @pytest.mark.parametrize("described", [True, False])
    def test_of_two_the_one_marked_tryfirst_makes_it(self, described: bool) -> None:
        plugins = load(Sounds("a", described=described), First("b", described=described))
        assert maker(plugins) == "b"
        [remark] = map(str, found(plugins, "a").notes)
        assert "offers the audio provider 'bell' too; that of b (object) comes first" in remark
        assert '[plugins] prefer = ["a"]' in remark

    @pytest.mark.parametrize("described", [True, False])
    def test_the_one_marked_trylast_stands_back(self, described: bool) -> None:
        assert maker(load(Last("a", described=described), Sounds("b", described=described))) == "b"

    def test_two_of_one_rank_are_in_conflict_still(self) -> None:
        plugins = load(First("a"), First("b"), Sounds("c"))
        [conflict] = plugins.conflicts()
        assert "'bell' is offered by a (object) and b (object) and c (object)" in conflict.message
        with pytest.raises(ProviderConflictError):
            plugins.make("audio", "bell", {})

    def test_what_is_preferred_comes_before_any_rank(self) -> None:
        assert maker(load(First("a"), Last("b"), prefer=["b"])) == "b"

    def test_no_mark_takes_a_built_in_providers_place(self) -> None:
        plugins = load(First("usurper", name="pico"))
        assert plugins.owner("audio", "pico").name == "deckwright_builtins.pico"
        assert maker(plugins, "pico") == "a built-in"

    def test_observers_are_told_by_their_rank_and_then_by_name(self) -> None:
        heard: list[str] = []

        def observer(name: str, **marks: bool) -> object:
            class Observer:
                __name__ = name

                @hookimpl(**marks)
                def provider_registered(self):
                    heard.append(name)

            return Observer()

        observers = [observer("b"), observer("z", tryfirst=True), observer("a", trylast=True), observer("c")]
        config = {"providers": {"audio": {"bell": {"pipelines": ["*"]}}}}
        for order in itertools.permutations(observers):
            heard.clear()
            ProviderRegistry.from_config(config, plugins=[*order, Sounds("bells")]).close()
            assert heard == ["z", "b", "c", "a"]


class TestOrderOfDiscovery:
    def test_lists_in_any_order_give_the_same(self, write: Write) -> None:
        for name in "abcd":
            write(f"{name}/bells.py", DESCRIBED_BELL)
            write(f"{name}/{name}.py", BELL)
        results = set()
        for order in itertools.permutations("abcd"):
            plugins = load(paths=[Path(name) for name in order])
            with pytest.raises(ProviderConflictError) as caught:
                plugins.make("audio", "bell", {})
            results.add((tuple(map(str, plugins.records)), str(caught.value)))
        assert len(results) == 1

    def test_so_do_distributions(self, install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("acme", "best", "coda"):
            source = DESCRIBED_BELL.replace('"bell"', f'"{name}"')
            install(
                f"{name}-bells", "1", f"[deckwright]\nbells = {name}_bells\n", **{f"{name}_bells": source}
            )
        listed = __import__("os").listdir
        results = set()
        for seed in range(5):
            shuffle = random.Random(seed).shuffle

            def shuffled(path: Any, shuffle: Any = shuffle) -> list[str]:
                names = listed(path)
                shuffle(names)
                return names

            monkeypatch.setattr("os.listdir", shuffled)
            results.add(tuple(str(record) for record in load().records))
        assert len(results) == 1
        assert "bells@coda-bells (coda-bells 1)" in results.pop()

    def test_a_name_that_several_share_prefers_none_of_them(self, write: Write) -> None:
        for name in "ab":
            write(f"{name}/bells.py", DESCRIBED_BELL)
        plugins = load(paths=[Path("a"), Path("b")], prefer=["bells"])
        with pytest.raises(ProviderConflictError, match='prefer = \\["bells@'):
            plugins.make("audio", "bell", {})

    def test_and_disables_all_of_them(self, write: Write) -> None:
        for name in "ab":
            write(f"{name}/bells.py", "raise SystemExit")
        records = load(paths=[Path("a"), Path("b")], disable=["bells"]).records
        assert [record.status for record in records if record.name.startswith("bells")] == ["disabled"] * 2


class TestNamedAndFound:
    """What a configuration names keeps its name, whatever else is found to be called the same."""

    def test_a_package_that_is_installed_changes_nothing(
        self, write: Write, install: Callable[..., Path]
    ) -> None:
        write("bells.py", DESCRIBED_BELL)
        settings: dict[str, Any] = {"paths": [Path("bells.py")], "only": ["bells"], "prefer": ["bells"]}
        assert type(load(**settings).make("audio", "bell", {})).__name__ == "Bell"
        install("other-bells", "1", "[deckwright]\nbells = other_bells\n", other_bells=DESCRIBED_BELL)
        plugins = load(**settings)
        assert found(plugins, "bells").status == "loaded"
        assert found(plugins, "bells@other-bells").status == "excluded"
        assert plugins.make("audio", "bell", {})

    def test_of_both_the_named_one_is_preferred_by_that_name(
        self, write: Write, install: Callable[..., Path]
    ) -> None:
        write("bells.py", DESCRIBED_BELL)
        install("other-bells", "1", "[deckwright]\nbells = other_bells\n", other_bells=DESCRIBED_BELL)
        plugins = load(paths=[Path("bells.py")], prefer=["bells"])
        assert plugins.owner("audio", "bell").name == "bells"

    def test_a_module_that_is_installed_too_is_one_plugin(self, install: Callable[..., Path]) -> None:
        install("acme-bells", "1", "[deckwright]\nacme_bells = acme_bells\n", acme_bells=DESCRIBED_BELL)
        plugins = load(modules=["acme_bells"], only=["acme_bells"])
        assert found(plugins, "acme_bells").status == "loaded"
        assert plugins.make("audio", "bell", {})


class TestOnly:
    @pytest.fixture
    def sources(
        self, write: Write, install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> dict[str, Any]:
        """Settings that find three plugins, and a fourth in the environment; each leaves a trace when imported."""
        for name in ("file", "environ"):
            write(f"{name}.py", f"open('{name}-imported', 'w').close()\n{BELL.replace('bell', name)}")
        write(
            "importable/module.py", f"open('module-imported', 'w').close()\n{BELL.replace('bell', 'module')}"
        )
        package = f"open('installed-imported', 'w').close()\n{BELL.replace('bell', 'installed')}"
        install("acme-bells", "1", "[deckwright]\ninstalled = acme_bells\n", acme_bells=package)
        monkeypatch.setenv("DECKWRIGHT_PLUGINS", "./environ.py")
        return {"modules": ["module"], "paths": [Path("file.py")]}

    def imported(self) -> set[str]:
        return {path.name.removesuffix("-imported") for path in Path().glob("*-imported")}

    def test_without_a_list_all_are_imported(self, sources: dict[str, Any]) -> None:
        load(**sources)
        assert self.imported() == {"file", "environ", "module", "installed"}

    @pytest.mark.parametrize("only", [["file"], ["installed", "module"], []])
    def test_with_a_list_those_in_it_and_no_other(self, sources: dict[str, Any], only: list[str]) -> None:
        plugins = load(**sources, only=only)
        assert self.imported() == set(only)
        others = {"file", "environ", "module", "installed"} - set(only)
        assert {found(plugins, name).status for name in others} == {"excluded"}
        assert "audio/pico" in found(plugins, "deckwright_builtins.pico").offers

    def test_what_a_program_hands_over_is_its_own_affair(self) -> None:
        assert maker(load(Sounds("mine"), only=[])) == "mine"

    def test_a_name_that_several_share_admits_none_of_them(self, write: Write) -> None:
        first, second = write("a/bells.py", BELL), write("b/bells.py", "raise SystemExit")
        settings: dict[str, Any] = {"paths": [Path("a"), Path("b")]}
        records = [record for record in load(**settings, only=["bells"]).records if "@" in record.name]
        assert [record.status for record in records] == ["excluded"] * 2
        plugins = load(**settings, only=[f"bells@{first}"])
        assert found(plugins, f"bells@{first}").status == "loaded"
        assert found(plugins, f"bells@{second}").status == "excluded"

    def test_a_name_that_no_plugin_has_is_remarked_upon(self) -> None:
        [unknown] = load(only=["nobody"]).unknown_names()
        assert str(unknown) == "plugins.only: there is no plugin 'nobody'"


class TestStrict:
    CONFIG: ClassVar = {"providers": {"data": {"json": {"pipelines": ["*"], "no_such_setting": 1}}}}

    def made(self, *objects: object, **plugins: Any) -> None:
        ProviderRegistry.from_config({**self.CONFIG, "plugins": plugins}, plugins=objects).close()

    def test_what_is_wrong_with_a_plugin_is_an_error(self, write: Write) -> None:
        write("broken.py", "1 / 0")
        self.made(paths=["broken.py"])
        with pytest.raises(ProvidersFailedError, match="ZeroDivisionError"):
            self.made(paths=["broken.py"], strict=True)

    def test_so_is_a_conflict_that_nobody_met(self) -> None:
        self.made(Sounds("a"), Sounds("b"))
        with pytest.raises(ProvidersFailedError, match=r"offered by a \(object\) and b \(object\)"):
            self.made(Sounds("a"), Sounds("b"), strict=True)

    def test_so_is_a_name_without_a_plugin(self) -> None:
        with pytest.raises(ProvidersFailedError, match="there is no plugin 'nobody'"):
            self.made(disable=["nobody"], strict=True)

    def test_a_program_that_is_strict_is_so_in_all_of_it(self) -> None:
        config = {"providers": {"data": {"json": {"pipelines": ["*"]}}}}
        with pytest.raises(ProvidersFailedError, match="offered by a "):
            ProviderRegistry.from_config(config, plugins=[Sounds("a"), Sounds("b")], strict=True)

    def test_with_plugins_that_are_well_the_rest_is_as_ever(self) -> None:
        self.made(Sounds("a"), strict=True)


class TestTypes:
    def adds(self, plugin: str, contract: type = MediaProvider, **marks: bool) -> object:
        class Adds:
            __name__ = plugin

            @hookimpl(**marks)
            def register_provider_types(self):
                return [ProviderType("video", contract, "moving pictures")]

        return Adds()

    def test_two_plugins_that_add_one_type_are_in_conflict(self) -> None:
        plugins = load(self.adds("a"), self.adds("b"))
        [conflict] = plugins.conflicts()
        assert "The provider type 'video' is offered by a (object) and b (object)." in conflict.message
        assert "video" not in plugins.types
        with pytest.raises(ValueError, match="'video' is offered by a"):
            plugins.make("video", "any", {})

    def test_it_is_settled_as_it_is_for_providers(self) -> None:
        class Film:
            pass

        assert load(self.adds("a"), self.adds("b", Film), prefer=["b"]).types["video"].contract is Film
        assert load(self.adds("a"), self.adds("b", Film, tryfirst=True)).types["video"].contract is Film


class TestWhatIsMade:
    def made(self, supported: Any) -> None:
        class Odd(MediaProvider):
            if supported is not None:
                supported_types = supported

            def _generate_media_impl(self, request):
                raise NotImplementedError

        class Plugin:
            @hookimpl
            def register_media_provider(self, type, name, config):
                return Odd(config) if name == "odd" else None

        load(Plugin()).make("audio", "odd", {})

    @pytest.mark.parametrize(
        ("supported", "told"),
        [
            (
                None,
                r"'Odd' for audio/odd, which does not set its types: it needs supported_types = \(\"audio\",\)",
            ),
            ("audio", r"whose supported_types is a text instead of a sequence: \(\"audio\",\)"),
            (["image", "video"], "whose supported_types are only image, video"),
        ],
    )
    def test_a_provider_that_could_never_deliver_is_told_when_it_is_made(
        self, supported: Any, told: str
    ) -> None:
        with pytest.raises(Exception, match=told):
            self.made(supported)

    @pytest.mark.parametrize("first", [True, False])
    def test_each_instance_is_looked_at_not_only_the_first_of_a_class(self, first: bool) -> None:
        class Either(MediaProvider):
            def _setup_from_config(self):
                self.supported_types = (self.config["delivers"],)

            def _generate_media_impl(self, request):
                raise NotImplementedError

        class Plugin:
            @hookimpl
            def register_media_provider(self, type, name, config):
                return Either(config) if name == "either" else None

        instances = {
            kind: {"type": "either", "pipelines": ["*"], "delivers": kind}
            for kind in (("audio", "image") if first else ("image", "audio"))
        }
        registry = ProviderRegistry.from_config({"providers": {"audio": instances}}, plugins=[Plugin()])
        assert list(registry["audio"]) == ["audio"]
        assert "whose supported_types are only image" in registry.failures[0].error

    def test_one_that_delivers_more_is_well(self) -> None:
        self.made(["image", "audio"])

    def test_one_that_raises_when_it_is_asked_for_anothers_is_told(self) -> None:
        class Greedy:
            @hookimpl
            def register_media_provider(self, type, name, config):
                return {"greedy": 1}[name]

        plugins = load(Greedy())
        assert maker(plugins, "pico") == "a built-in"
        [problem] = found(plugins, "Greedy").problems
        assert problem.message.startswith(
            "register_media_provider, asked for audio/pico: KeyError: 'pico', at "
        )
        assert "None for what is not its own" in problem.hint

    def test_what_several_made_before_it_was_known_whose_it_is_is_closed_but_for_one(self) -> None:
        closed: list[str] = []

        class Closing(Sounds):
            @hookimpl
            def register_media_provider(self, type, name, config):
                made = super().register_media_provider(type, name, config)
                if made:
                    made.close = lambda: closed.append(self.__name__)
                return made

        plugins = load(Closing("a", described=False), Closing("b", described=False), prefer=["b"])
        assert maker(plugins) == "b"
        assert closed == ["a"]

    def test_one_that_raises_with_anothers_settings_shows_no_secret_of_them(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Chatty:
            @hookimpl
            def register_media_provider(self, type, name, config):
                raise ValueError(f"do not know {name} with {config}")

        audio = {"pico": {"pipelines": ["*"], "api_key": "s3cr3t-value"}}
        with ProviderRegistry.from_config({"providers": {"audio": audio}}, plugins=[Chatty()]) as registry:
            [problem] = map(str, registry.problems())
        assert "do not know pico with" in problem
        assert "s3cr3t" not in problem + caplog.text + str(registry.plugins.records)

    def test_what_a_type_is_described_for_that_nobody_adds_is_told_and_left_out(self) -> None:
        class Dreamer(Sounds):
            @hookimpl
            def describe_media_providers(self):
                return [ProviderInfo("audoi", "bell"), ProviderInfo("audio", "bell")]

        plugins = load(Dreamer("dreamer"))
        [problem] = found(plugins, "dreamer").problems
        assert problem.message == "describes audoi/bell, a type that no plugin adds, did you mean 'audio'?"
        assert "audoi" not in [info.type for info, _ in plugins.describe()]
        assert maker(plugins) == "dreamer"

    def test_what_only_keeps_out_is_told_where_it_is_missed(self, write: Write) -> None:
        write("gongs.py", BELL)
        with pytest.raises(UnknownProviderError, match=r"Not loaded, because of \[plugins\]: gongs"):
            load(paths=[Path("gongs.py")], only=[]).make("audio", "bell", {})

    def test_what_nobody_knows_may_be_of_a_plugin_that_failed(self, write: Write) -> None:
        write("gongs.py", "import no_such_package")
        with pytest.raises(UnknownProviderError, match="plugin that could not be loaded may make it: gongs"):
            load(paths=[Path("gongs.py")]).make("audio", "gong", {})


def test_every_plugin_says_what_it_offers_and_which_version_it_is(write: Write) -> None:
    path = write("bells.py", f"__version__ = '1.5'\n{DESCRIBED_BELL}")
    record = found(load(paths=[Path("bells.py")]), "bells")
    assert (record.offers, record.version, record.file) == (("audio/bell",), "1.5", str(path))
    assert "deckwright_plugin_bells" in "".join(sys.modules)
