"""Plugins: every place they come from, everything that may be wrong with one, and who wins."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from plugin_samples import BELL, DESCRIBED_BELL, Sounds, Tone, Write, found, load, rings

from deckwright import (
    ConfigError,
    MediaProvider,
    ProviderConflictError,
    ProviderInfo,
    ProviderRegistry,
    SyncProvider,
    SyncResult,
    build_deck,
    hookimpl,
)
from deckwright.plugins import Plugins

pytestmark = pytest.mark.usefixtures("clean_folder")


class TestSources:
    def test_built_in_plugins_are_always_there(self) -> None:
        record = found(load(), "deckwright_builtins.json")
        assert record.status == "loaded"
        assert record.provenance.kind == "built-in"
        assert record.hooks == ("describe_media_providers", "register_media_provider")

    def test_no_built_in_plugin_has_a_problem(self) -> None:
        built_in = [record for record in load().records if record.provenance.kind == "built-in"]
        assert {record.name: record.problems for record in built_in if record.problems} == {}

    def test_a_module_is_loaded_by_its_import_name(self, importable: Path, write: Write) -> None:
        write("importable/bells/church.py")
        plugins = load(modules=["bells.church"])
        assert rings(plugins)
        assert str(found(plugins, "bells.church")) == "bells.church (module bells.church)"

    def test_a_file_is_loaded_from_its_path(self, write: Write) -> None:
        path = write("bells.py")
        plugins = load(paths=[Path("bells.py")])
        assert rings(plugins)
        record = found(plugins, "bells")
        assert (record.provenance.kind, record.provenance.location) == ("file", str(path))

    def test_a_folder_gives_each_of_its_plugins_and_nothing_else(self, write: Write) -> None:
        write("plugins/bells.py")
        write("plugins/pack/__init__.py", "from .drums import *")
        write("plugins/pack/drums.py", BELL.replace('"bell"', '"drum"'))
        for other in ("_shared.py", ".hidden.py", "test_bells.py", "conftest.py", "notes.txt", "data/x.py"):
            write(f"plugins/{other}", "raise SystemExit")
        plugins = load(paths=[Path("plugins")])
        from_files = [record for record in plugins.records if record.provenance.kind == "file"]
        assert [(record.name, record.status) for record in from_files] == [
            ("bells", "loaded"),
            ("pack", "loaded"),
        ]
        assert rings(plugins)
        assert type(plugins.make("audio", "drum", {})).__name__ == "Bell"

    def test_relative_paths_start_from_the_configurations_folder(self, write: Write) -> None:
        write("elsewhere/plugins/bells.py")
        config = write(
            "elsewhere/deckwright.toml",
            '[plugins]\npaths = ["plugins"]\n[providers.audio.bell]\npipelines = ["*"]\n',
        )
        registry = ProviderRegistry.from_config(config)
        assert list(registry["audio"]) == ["bell"]

    def test_the_environment_names_modules_files_and_folders(
        self, importable: Path, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write("importable/chimes.py", BELL.replace('"bell"', '"chime"'))
        write("bells.py")
        write("plugins/drums.py", BELL.replace('"bell"', '"drum"'))
        monkeypatch.setenv("DECKWRIGHT_PLUGINS", f" chimes, bells.py,, .{os.sep}plugins ")
        plugins = load()
        for name in ("bell", "chime", "drum"):
            assert isinstance(plugins.make("audio", name, {}), MediaProvider)

    def test_an_installed_package_is_found_by_its_entry_point(self, install: Callable[..., Path]) -> None:
        install("acme-bells", "1.2.3", "[deckwright]\nacme = acme_bells\n", acme_bells=BELL)
        plugins = load()
        assert rings(plugins)
        record = found(plugins, "acme")
        assert (record.provenance.distribution, record.provenance.version) == ("acme-bells", "1.2.3")
        assert str(record) == "acme (acme-bells 1.2.3)"

    def test_an_entry_point_may_name_an_object_in_a_module(self, install: Callable[..., Path]) -> None:
        source = BELL + "\nimport sys\nplugin = sys.modules[__name__]\n"
        install(
            "acme-bells", "1", "[other]\nx = y\n\n[deckwright]\nacme = acme_bells:plugin\n", acme_bells=source
        )
        assert rings(load())

    def test_a_switch_turns_installed_plugins_off(self, install: Callable[..., Path]) -> None:
        install("acme-bells", "1", "[deckwright]\nacme = acme_bells\n", acme_bells=BELL)
        assert "acme" not in [record.name for record in load(installed=False).records]
        assert "acme_bells" not in sys.modules

    def test_a_distribution_found_twice_is_loaded_once_from_the_first_place(
        self, install: Callable[..., Path], write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        entry_points = "[deckwright]\nacme = acme_bells\n"
        install("acme-bells", "2", entry_points, acme_bells=BELL)
        write(
            "later/acme_bells-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: acme-bells\nVersion: 1\n"
        )
        write("later/acme_bells-1.dist-info/entry_points.txt", entry_points)
        monkeypatch.setattr(sys, "path", [*sys.path, str(Path("later").absolute())])
        assert found(load(), "acme").provenance.version == "2"

    def test_a_program_gives_modules_objects_and_classes(self) -> None:
        class Static:
            @staticmethod
            @hookimpl
            def register_media_provider(type, name, config):
                return Tone(config) if name == "static" else None

        module = ModuleType("bells")
        exec(BELL, vars(module))
        plugins = load(module, Sounds("horns", name="horn"), Static)
        for name in ("bell", "horn", "static"):
            assert isinstance(plugins.make("audio", name, {}), MediaProvider)
        assert [str(found(plugins, name)) for name in ("bells", "horns", "Static")] == [
            "bells (object)",
            "horns (object)",
            "Static (object)",
        ]

    def test_two_objects_of_one_class_are_two_plugins(self) -> None:
        def maker(wanted):
            @hookimpl
            def register_media_provider(name, config):
                return Tone(config) if name == wanted else None

            return SimpleNamespace(register_media_provider=register_media_provider)

        plugins = load(maker("a"), maker("b"))
        assert isinstance(plugins.make("audio", "a", {}), Tone)
        assert isinstance(plugins.make("audio", "b", {}), Tone)

    def test_nothing_is_loaded_before_it_is_needed(self) -> None:
        registry = ProviderRegistry()
        registry.register_audio_provider("tone", Tone())
        assert list(registry.for_pipeline("any")["audio"]) == ["tone"]
        assert registry._plugins is None

    def test_every_plugin_says_how_long_it_took(self, write: Write) -> None:
        write("bells.py")
        assert found(load(paths=[Path("bells.py")]), "bells").seconds > 0


class TestDisabling:
    def test_a_disabled_plugin_is_not_imported_at_all(self, write: Write) -> None:
        write("bells.py", "open('imported', 'w').close()")
        plugins = load(paths=[Path("bells.py")], disable=["bells"])
        assert found(plugins, "bells").status == "disabled"
        assert not Path("imported").exists()

    def test_so_it_is_with_installed_ones(self, install: Callable[..., Path]) -> None:
        install("acme-bells", "1", "[deckwright]\nacme = acme_bells\n", acme_bells=BELL)
        assert found(load(disable=["acme"]), "acme").status == "disabled"
        assert "acme_bells" not in sys.modules

    def test_and_with_built_in_ones(self) -> None:
        plugins = load(disable=["deckwright_builtins.json"])
        assert ("data", "json") not in [(info.type, info.name) for info, _ in plugins.describe()]

    def test_a_wrong_plugins_section_is_a_configuration_error(self) -> None:
        with pytest.raises(ConfigError, match=r"plugins: disabel: unknown setting, did you mean 'disable'\?"):
            ProviderRegistry.from_config({"plugins": {"disabel": ["x"]}, "providers": {}})
        with pytest.raises(ConfigError, match=r"modules: should be a list of text"):
            ProviderRegistry.from_config({"plugins": {"modules": "x"}, "providers": {}})


BROKEN = {
    "an import error": ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
    "an exception": ("1 / 0", "ZeroDivisionError: division by zero"),
    "an exit": ("raise SystemExit(3)", "SystemExit: 3"),
    "an exception of no known kind": ("class Odd(BaseException): pass\nraise Odd", "Odd"),
    "a message that raises": (
        "class Odd(Exception):\n    def __str__(self): 1 / 0\nraise Odd",
        "cannot be imported: Odd",
    ),
    "a syntax error": ("def (:", "SyntaxError: "),
    "an indentation error": ("if True:\nx", "IndentationError: "),
    "a null byte": ("x = 1\0", "cannot be imported: "),
    "no hook": ("x = 1", "implements no hook"),
    "nothing at all": ("", "implements no hook"),
    "a hook that is not marked": (
        "def register_media_provider(type, name, config): pass",
        "register_media_provider is not marked with @hookimpl",
    ),
    "a misspelled hook": (
        "from deckwright import hookimpl\n@hookimpl\ndef register_media_providers(type, name, config): pass",
        "register_media_providers is not a hook of Deckwright, did you mean 'register_media_provider'?",
    ),
    "an async hook": (
        "from deckwright import hookimpl\n@hookimpl\nasync def register_media_provider(type, name, config): pass",
        "register_media_provider is async",
    ),
    "an async generator": (
        "from deckwright import hookimpl\n@hookimpl\nasync def describe_media_providers(): yield 1",
        "describe_media_providers is async",
    ),
    "a wrapper": (
        (
            "from deckwright import hookimpl\n"
            "@hookimpl(wrapper=True)\ndef register_media_provider(type, name, config): return (yield)"
        ),
        "register_media_provider is a wrapper",
    ),
    "a wrapper of the old kind": (
        (
            "from deckwright import hookimpl\n"
            "@hookimpl(hookwrapper=True)\ndef register_media_provider(type, name, config): yield"
        ),
        "register_media_provider is a wrapper",
    ),
    "a parameter by keyword only": (
        "from deckwright import hookimpl\n@hookimpl\ndef register_media_provider(type, name, *, config): pass",
        "register_media_provider takes 'config' by keyword only",
    ),
    "an unknown parameter": (
        "from deckwright import hookimpl\n@hookimpl\ndef register_media_provider(kind, name, config): pass",
        "register_media_provider takes 'kind'; its parameters are type, name, config",
    ),
    "an unknown parameter by position only": (
        "from deckwright import hookimpl\n@hookimpl\ndef register_media_provider(kind, name, /): pass",
        "register_media_provider takes 'kind'; its parameters are type, name, config",
    ),
    "parameters that stay empty": (
        "from deckwright import hookimpl\n@hookimpl\ndef register_media_provider(*args, **kwargs): pass",
        "register_media_provider takes *args, **kwargs, which get nothing",
    ),
    "a hook of a class without its object": (
        (
            "from deckwright import hookimpl\nclass P:\n    @hookimpl\n    def describe_media_providers(self): pass\n"
            "import sys\nfrom deckwright import hookimpl\nsys.modules[__name__] = P"
        ),
        "describe_media_providers takes 'self'",
    ),
}


class TestBrokenPlugins:
    @pytest.mark.parametrize(("source", "problem"), BROKEN.values(), ids=BROKEN)
    def test_is_one_clear_record_and_everything_else_works(
        self, write: Write, importable: Path, caplog: pytest.LogCaptureFixture, source: str, problem: str
    ) -> None:
        write("importable/broken.py", source)
        write("bells.py")
        plugins = load(modules=["broken"], paths=[Path("bells.py")])
        record = found(plugins, "broken")
        assert record.status == "failed"
        assert len(record.problems) == 1
        assert problem in str(record.problems[0])
        assert [str(record.problems[0])] == [r.getMessage() for r in caplog.records]
        assert rings(plugins)
        assert plugins.make("data", "json", {})

    def test_two_faults_of_one_plugin_are_told_together(self, write: Write) -> None:
        write(
            "broken.py",
            "from deckwright import hookimpl\n"
            "@hookimpl\nasync def register_media_provider(kind): pass\n"
            "@hookimpl\ndef describe(): pass\n",
        )
        [problem] = found(load(paths=[Path("broken.py")]), "broken").problems
        assert "async" in problem.message
        assert "'kind'" in problem.message
        assert "describe is not a hook" in problem.message

    def test_a_keyboard_interrupt_is_for_the_user(self, write: Write) -> None:
        write("broken.py", "raise KeyboardInterrupt")
        with pytest.raises(KeyboardInterrupt):
            load(paths=[Path("broken.py")])

    def test_a_file_with_a_syntax_error_is_named_with_the_line(self, write: Write) -> None:
        write("broken.py", "x = 1\ndef (:\n")
        [problem] = found(load(paths=[Path("broken.py")]), "broken").problems
        assert "broken.py, line 2" in problem.message

    @pytest.mark.parametrize("path", ["nowhere.py", "nowhere", "notes.txt", "~no_such_user/x.py", "a\0b.py"])
    def test_a_path_without_a_plugin_is_told(self, write: Write, path: str) -> None:
        write("notes.txt", "hello")
        registry = ProviderRegistry.from_config(
            {"plugins": {"paths": [path]}, "providers": {"data": {"json": {"pipelines": ["*"]}}}}
        )
        assert list(registry["data"]) == ["json"]
        [problem] = map(str, registry.problems())
        assert "does not exist" in problem or "is not a Python file" in problem

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
    @pytest.mark.parametrize("mode", [0, 0o400, 0o300])
    def test_so_is_a_folder_that_cannot_be_read(self, write: Write, mode: int) -> None:
        folder = write("plugins/bells.py").parent
        folder.chmod(mode)
        try:
            assert "PermissionError" in str(found(load(paths=[folder]), "plugins").problems[0])
        finally:
            folder.chmod(0o700)

    def test_so_it_is_in_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DECKWRIGHT_PLUGINS", "~no_such_user/bells.py, nowhere.py, no_such_module")
        failed = [record for record in load().records if record.status == "failed"]
        assert [record.name for record in failed] == ["bells", "no_such_module", "nowhere"]

    @pytest.mark.parametrize("name", ["", ".relative", "a..b"])
    def test_what_is_no_module_name_is_told(self, name: str) -> None:
        assert found(load(modules=[name]), name).status == "failed"

    def test_what_a_program_gives_is_checked_too(self) -> None:
        plugins = load(None, 3, SimpleNamespace(), Tone)
        failed = [record.name for record in plugins.records if record.status == "failed"]
        assert failed == ["NoneType", "SimpleNamespace", "Tone", "int"]

    def test_an_entry_point_that_leads_nowhere_is_told(self, install: Callable[..., Path]) -> None:
        install("acme-bells", "1", "[deckwright]\nacme = no_such_module\nother = json:nothing\n")
        plugins = load()
        assert "No module named 'no_such_module'" in str(found(plugins, "acme").problems[0])
        assert "AttributeError" in str(found(plugins, "other").problems[0])

    @pytest.mark.parametrize("damage", ["no METADATA", "no name", "garbled", "not text"])
    def test_a_damaged_installation_harms_no_other(self, install: Callable[..., Path], damage: str) -> None:
        info = install("damaged", "1", "[deckwright]\ndamaged = damaged\n")
        if damage == "no METADATA":
            (info / "METADATA").unlink()
        elif damage == "no name":
            (info / "METADATA").write_text("Metadata-Version: 2.1\n")
        elif damage == "garbled":
            (info / "entry_points.txt").write_text("[deckwright]\nno equals sign\n")
        else:
            (info / "entry_points.txt").write_bytes(b"[deckwright]\nx = \xff\xfe")
        install("acme-bells", "1", "[deckwright]\nacme = acme_bells\n", acme_bells=BELL)
        plugins = load()
        assert rings(plugins)
        [failed] = [record for record in plugins.records if record.status == "failed"]
        assert "damaged-1.dist-info" in f"{failed}{failed.problems}" or failed.name == "damaged"

    @pytest.mark.parametrize("order", ["as it is", "reversed"])
    def test_one_that_is_installed_twice_in_one_folder_is_damaged_and_the_order_decides_nothing(
        self, install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, order: str
    ) -> None:
        listed = os.listdir
        if order == "reversed":
            monkeypatch.setattr("os.listdir", lambda path: sorted(listed(path), reverse=True))
        for name, version in (("Acme_Bells", "1"), ("acme-bells", "2")):
            install(name, version, "[deckwright]\nacme = acme_bells\n", acme_bells=BELL)
        records = [record for record in load().records if "cme" in record.name]
        assert [(record.status, record.version) for record in records] == [("loaded", "1"), ("failed", "")]
        assert "is installed twice: " in str(records[1].problems[0])

    def test_secrets_of_the_configuration_are_masked_in_what_plugins_raise(
        self, write: Write, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("THE_KEY", "s3cr3t-value")
        caplog.set_level(logging.DEBUG)
        write("broken.py", "import os\nraise RuntimeError('bad key ' + os.environ['THE_KEY'])")
        write(
            "odd.py",
            "import os\nfrom deckwright import hookimpl\n"
            "@hookimpl\ndef describe_media_providers(): raise RuntimeError(os.environ['THE_KEY'])\n",
        )
        audio = {"pico": {"pipelines": ["*"], "api_key": "${THE_KEY}"}}
        config = {"plugins": {"paths": ["broken.py", "odd.py"]}, "providers": {"audio": audio}}
        with ProviderRegistry.from_config(config) as registry:
            problems = registry.problems()
        assert len(problems) == 2
        assert "bad key ***" in str(problems)
        assert "s3cr3t" not in str(problems) + caplog.text

    def test_leftovers_of_other_installations_are_nothing_to_tell(self, install: Callable[..., Path]) -> None:
        (install("leftover", "1", "[console_scripts]\nx = y:z\n") / "METADATA").unlink()
        install("acme-bells", "1", "[deckwright]\nacme = acme_bells\n", acme_bells=BELL)
        plugins = load()
        assert rings(plugins)
        assert not [record for record in plugins.records if record.problems]


class TestFaultsAtTheCall:
    """Plugins that load, and then do what they should not."""

    def described(self, answer: Any) -> Plugins:
        class Odd(Sounds):
            @hookimpl
            def describe_media_providers(self):
                if isinstance(answer, BaseException):
                    raise answer
                return answer

        return load(Odd("odd"), Sounds("horns", name="horn"))

    @pytest.mark.parametrize(
        ("answer", "problem"),
        [
            (RuntimeError("no idea"), "describe_media_providers: RuntimeError: no idea"),
            (None, "describe_media_providers: returned None, not a list of ProviderInfo"),
            (3, "describe_media_providers: returned 3, not a list of ProviderInfo"),
            ([("audio", "bell")], "returned ('audio', 'bell'), which is not a proper ProviderInfo"),
            ("audio", "returned 'a', which is not a proper ProviderInfo"),
            ([ProviderInfo("audio", ["bell"])], "describe_media_providers: "),  # type: ignore[arg-type]
            ([ProviderInfo(None, "bell")], "describe_media_providers: "),  # type: ignore[arg-type]
            ([ProviderInfo("audio", "bell", summary=7)], "with the summary 7, which is not text"),  # type: ignore[arg-type]
            ([ProviderInfo("audio", "bell", extra=5)], "with the extra 5, which is not text"),  # type: ignore[arg-type]
            ([ProviderInfo("audio", "bell", traits=None)], "with the traits None"),  # type: ignore[arg-type]
        ],
    )
    def test_one_that_cannot_describe_itself_is_told_and_still_makes_its_provider(
        self, answer: Any, problem: str
    ) -> None:
        plugins = self.described(answer)
        record = found(plugins, "odd")
        assert record.status == "loaded"
        assert len(record.problems) == 1
        assert problem in str(record.problems[0])
        assert rings(plugins)
        assert "horn" in [info.name for info, _ in plugins.describe()]

    def test_one_that_describes_the_same_twice_is_not_in_conflict_with_itself(self) -> None:
        plugins = self.described([ProviderInfo("audio", "bell"), ProviderInfo("audio", "bell", "again")])
        assert rings(plugins)

    def test_one_that_describes_and_does_not_make_is_told(self) -> None:
        class Talker:
            @hookimpl
            def describe_media_providers(self):
                return [ProviderInfo("audio", "bell")]

        plugins = load(Talker())
        [problem] = found(plugins, "Talker").problems
        assert "has no register_media_provider" in problem.message
        assert "bell" not in [info.name for info, _ in plugins.describe()]

    @pytest.mark.parametrize("answer", [None, [3], [ProviderInfo("audio", "x")]])
    def test_one_that_adds_no_proper_types_is_told(self, answer: Any) -> None:
        class Odd:
            @hookimpl
            def register_provider_types(self):
                return answer

        plugins = load(Odd())
        assert set(plugins.types) == {"data", "audio", "image", "sync", "engine"}
        assert len(found(plugins, "Odd").problems) == 1

    def test_one_cannot_take_over_a_type_that_exists(self) -> None:
        from deckwright import ProviderType

        class Usurper:
            @hookimpl
            def register_provider_types(self):
                return [ProviderType("audio", dict)]

        plugins = load(Usurper())
        assert plugins.types["audio"].contract is MediaProvider
        assert "'audio', which exists already" in str(found(plugins, "Usurper").problems[0])

    def test_a_raising_observer_is_told_once_and_changes_nothing(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        heard: list[str] = []

        class Nervous:
            @hookimpl
            def provider_registered(self):
                raise RuntimeError("boo")

        class Calm:
            @hookimpl
            def provider_registered(self, instance):
                heard.append(instance)

        registry = ProviderRegistry.from_config(
            {"providers": {"audio": {key: {"type": "bell", "pipelines": ["*"]} for key in "abc"}}},
            plugins=[Nervous(), Sounds("bells"), Calm()],
        )
        assert list(registry["audio"]) == heard == ["a", "b", "c"]
        [problem] = map(str, registry.problems())
        assert problem.startswith("plugin Nervous (object): provider_registered: RuntimeError: boo, at ")
        assert len(caplog.records) == 1

    def test_observers_hear_the_outcome_of_every_request_of_a_build(self) -> None:
        heard: list[tuple[str, bool]] = []

        class Ear:
            @hookimpl
            def media_generated(self, request, result):
                heard.append((request.content, result.success))

        class Nervous:
            @hookimpl
            def media_generated(self, result):
                raise RuntimeError("boo")

        class Picky(Tone):
            def _generate_media_impl(self, request):
                if request.content == "perro":
                    raise LookupError("never heard of dogs")
                return super()._generate_media_impl(request)

        class Shelf(SyncProvider):
            def _test_connection_impl(self):
                return True

            def _sync_cards_impl(self, cards):
                return SyncResult(True, len(cards))

        class Shop:
            @hookimpl
            def register_media_provider(self, type, name, config):
                return {"picky": Picky, "shelf": Shelf}.get(name)

        everywhere = {"pipelines": ["*"]}
        build_deck(
            ["gato", "perro"],
            language="es",
            config={"providers": {"audio": {"picky": everywhere}, "sync": {"shelf": everywhere}}},
            plugins=[Nervous(), Ear(), Shop()],
        )
        assert heard == [("gato", True), ("perro", False)]


class TestNames:
    def test_two_plugins_of_one_name_are_told_apart_by_where_they_are_from(self, write: Write) -> None:
        first, second = write("a/bells.py"), write("b/bells.py", BELL.replace('"bell"', '"drum"'))
        plugins = load(paths=[Path("a"), Path("b")])
        assert found(plugins, f"bells@{first}").status == "loaded"
        assert found(plugins, f"bells@{second}").status == "loaded"
        assert plugins.make("audio", "drum", {})

    def test_and_by_that_name_one_of_them_is_preferred(self, write: Write) -> None:
        write("a/bells.py")
        second = write(
            "b/bells.py", BELL.replace("class Bell", "class Other").replace("Bell(config)", "Other(config)")
        )
        with pytest.raises(ProviderConflictError, match="offered by bells"):
            load(paths=[Path("a"), Path("b")]).make("audio", "bell", {})
        chosen = load(paths=[Path("a"), Path("b")], prefer=[f"bells@{second}"])
        assert type(chosen.make("audio", "bell", {})).__name__ == "Other"

    def test_a_name_that_no_plugin_has_is_remarked_upon(self, write: Write) -> None:
        write("bells.py")
        plugins = load(paths=[Path("bells.py")], disable=["pico"], prefer=["bels", "bells"])
        assert [str(each) for each in plugins.unknown_names()] == [
            "plugins.disable: there is no plugin 'pico', did you mean 'deckwright_builtins.pico'?",
            "plugins.prefer: there is no plugin 'bels', did you mean 'bells'?",
        ]

    @pytest.mark.parametrize("again", ["bells.py", "./bells.py", "sub/../bells.py", "{absolute}", "."])
    def test_one_file_reached_twice_is_loaded_once(
        self, write: Write, monkeypatch: pytest.MonkeyPatch, again: str
    ) -> None:
        path = write("bells.py", BELL + "\nwith open('imports', 'a') as file: file.write('x')")
        Path("sub").mkdir()
        monkeypatch.setenv(
            "DECKWRIGHT_PLUGINS", f"./{again}" if again == "." else again.format(absolute=path)
        )
        plugins = load(paths=[Path("bells.py")])
        assert found(plugins, "bells").problems == []
        assert Path("imports").read_text() == "x"

    def test_a_broken_file_reached_twice_is_one_record(
        self, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write("broken.py", "1 / 0")
        monkeypatch.setenv("DECKWRIGHT_PLUGINS", "./broken.py")
        assert found(load(paths=[Path("broken.py")]), "broken").status == "failed"

    def test_one_module_reached_by_two_names_is_loaded_once(self, install: Callable[..., Path]) -> None:
        install("acme-bells", "1", "[deckwright]\nacme = acme_bells\n", acme_bells=DESCRIBED_BELL)
        plugins = load(modules=["acme_bells"])
        assert rings(plugins)
        assert not [record for record in plugins.records if record.problems]


class TestConflicts:
    """Two plugins for one provider."""

    def made_by(self, *objects: object, name: str = "bell", **settings: Any) -> str:
        registry = ProviderRegistry.from_config(
            {"plugins": settings, "providers": {"audio": {"it": {"type": name, "pipelines": ["*"]}}}},
            plugins=objects,
        )
        for failure in registry.failures:
            return f"{failure.error}\n{failure.hint}"
        provider = registry["audio"]["it"]
        return provider.config.get("by", "a built-in")

    @pytest.mark.parametrize("first", [True, False])
    @pytest.mark.parametrize("second", [True, False])
    def test_both_are_named_and_the_way_to_settle_it(self, first: bool, second: bool) -> None:
        told = self.made_by(Sounds("left", described=first), Sounds("right", described=second))
        assert "The audio provider 'bell' is offered by " in told
        assert "left (object)" in told
        assert "right (object)" in told
        assert '[plugins] prefer = ["left"]' in told
        assert '[plugins] prefer = ["right"]' in told

    def test_where_each_is_from_is_told(self, write: Write, install: Callable[..., Path]) -> None:
        path = write("bells.py", DESCRIBED_BELL)
        install("acme-bells", "1.2.3", "[deckwright]\nacme = acme_bells\n", acme_bells=DESCRIBED_BELL)
        told = self.made_by(paths=["bells.py"])
        assert f"acme (acme-bells 1.2.3) and bells (file {path})" in told

    @pytest.mark.parametrize("first", [True, False])
    @pytest.mark.parametrize("second", [True, False])
    def test_prefer_settles_it(self, first: bool, second: bool) -> None:
        left, right = Sounds("left", described=first), Sounds("right", described=second)
        assert self.made_by(left, right, prefer=["right"]) == "right"
        assert self.made_by(left, right, prefer=["nobody", "left", "right"]) == "left"

    def test_disabling_one_settles_it_too(self) -> None:
        assert self.made_by(Sounds("left"), Sounds("right"), disable=["left"]) == "right"

    def test_the_others_of_both_plugins_work_on(self) -> None:
        plugins = load(Sounds("left"), Sounds("right"), Sounds("horns", name="horn"))
        assert plugins.make("audio", "horn", {}).config == {"by": "horns"}

    @pytest.mark.parametrize("described", [True, False])
    def test_a_built_in_stays_and_the_other_is_warned_of(
        self, caplog: pytest.LogCaptureFixture, described: bool
    ) -> None:
        newcomer = Sounds("newcomer", name="pico", described=described)
        assert self.made_by(newcomer, name="pico") == "a built-in"
        [warning] = [record.getMessage() for record in caplog.records]
        assert "newcomer" in warning
        assert "the built-in one stays" in warning
        assert '[plugins] prefer = ["newcomer"]' in warning
        assert caplog.records[0].levelno == logging.WARNING

    @pytest.mark.parametrize("described", [True, False])
    def test_unless_the_other_is_preferred(self, caplog: pytest.LogCaptureFixture, described: bool) -> None:
        newcomer = Sounds("newcomer", name="pico", described=described)
        assert self.made_by(newcomer, name="pico", prefer=["newcomer"]) == "newcomer"
        assert not caplog.records

    def test_of_a_preferred_one_that_describes_nothing_the_built_ins_description_is_not_told(self) -> None:
        plugins = load(Sounds("newcomer", name="pico", described=False), prefer=["newcomer"])
        assert plugins.make("audio", "pico", {}).config == {"by": "newcomer"}
        assert plugins.info("audio", "pico") is None

    def test_a_conflict_nobody_asks_about_harms_nobody(self) -> None:
        assert (
            self.made_by(Sounds("left"), Sounds("right"), Sounds("horns", name="horn"), name="horn")
            == "horns"
        )


class TestExits:
    """A plugin may even exit; everything else works."""

    @pytest.mark.parametrize(
        "hook", ["describe_media_providers", "register_media_provider", "media_generated"]
    )
    def test_from_any_hook(self, write: Write, hook: str) -> None:
        write(
            "quits.py",
            f"from deckwright import hookimpl\n@hookimpl\ndef {hook}():\n    raise SystemExit('gone')\n",
        )
        with ProviderRegistry.from_config(
            {"plugins": {"paths": ["quits.py"]}, "providers": {"audio": {"pico": {"pipelines": ["*"]}}}}
        ) as registry:
            assert list(registry["audio"]) == ["pico"]
            assert registry.failures == ()

    def test_a_module_with_an_object_that_cannot_be_looked_at_is_a_plugin_all_the_same(
        self, write: Write
    ) -> None:
        lazy = (
            "\nclass Lazy:\n    def __getattr__(self, name): raise RuntimeError('outside of context')\n"
            "    __class__ = property(lambda self: self.nothing)\nlazy = Lazy()\n"
        )
        write("bells.py", BELL + lazy)
        assert rings(load(paths=[Path("bells.py")]))
