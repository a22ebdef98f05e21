"""The registry as a program uses it: a configuration file, plugins from files, and real providers."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import tomli

from deckwright import Config, ConfigError, MediaProvider, ProviderRegistry, ProvidersFailedError

pytestmark = pytest.mark.usefixtures("clean_folder")

PLUGIN = """
from deckwright import MediaProvider, MediaResult, ProviderInfo, hookimpl
import attrs


@attrs.define
class BellSettings:
    strokes: int = attrs.field(default=1, validator=attrs.validators.ge(1), metadata={"help": "how often"})
    api_key: str = ""


class Bell(MediaProvider):
    supported_types = ("audio",)
    config_class = BellSettings
    opened = None

    def _generate_media_impl(self, request):
        self.opened = self.opened or open(request.output_path, "wb")
        self.opened.write(b"ding" * self.settings.strokes)
        self.opened.flush()
        return MediaResult(success=True, file_path=request.output_path)

    def close(self):
        if self.opened:
            self.opened.close()


class Broken(Bell):
    def close(self):
        super().close()
        raise RuntimeError("stuck")


@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", name, config_class=BellSettings) for name in ("bell", "broken")]


@hookimpl
def register_media_provider(type, name, config):
    return {"bell": Bell, "broken": Broken}[name](config)
"""

TOML = """\
[plugins]
paths = ["plugins"]

[apis.bell]
strokes = 2

[providers.data.csv]
base_path = "words"
files = ["nouns.csv"]
pipelines = ["*"]

[providers.audio.low]
type = "bell"
pipelines = ["vocabulary"]

[providers.audio.high]
type = "bell"
strokes = "${STROKES:3}"
pipelines = ["vocabulary", "alphabet"]

[providers.audio.bell]
type = "audio"
pipelines = ["*"]
"""


@pytest.fixture
def project(clean_folder: Path) -> Path:
    """A folder with a configuration, a plugin and a word list."""
    (clean_folder / "plugins").mkdir()
    (clean_folder / "plugins" / "bells.py").write_text(PLUGIN)
    (clean_folder / "words").mkdir()
    (clean_folder / "words" / "nouns.csv").write_text("word,translation\ngato,cat\n")
    (clean_folder / "deckwright.toml").write_text(TOML)
    return clean_folder


def as_toml(project: Path) -> Any:
    return project / "deckwright.toml"


def as_json(project: Path) -> Any:
    path = project / "deckwright.json"
    path.write_text(json.dumps(tomli.loads(TOML)))
    return str(path)


def as_config(project: Path) -> Any:
    return Config.load(as_toml(project))


def as_mapping(project: Path) -> Any:
    return tomli.loads(TOML)


def as_found(project: Path) -> Any:
    return None


@pytest.mark.parametrize("given", [as_toml, as_json, as_config, as_mapping, as_found])
def test_every_way_to_give_a_configuration_makes_the_same_providers(
    project: Path, given: Callable[[Path], Any]
) -> None:
    with ProviderRegistry.from_config(given(project)) as registry:
        assert registry.problems() == []
        assert registry.get_provider_info() == {
            "data_providers": {"count": 1, "names": ["csv"]},
            "audio_providers": {"count": 3, "names": ["low", "high", "bell"]},
            "image_providers": {"count": 0, "names": []},
            "sync_providers": {"count": 0, "names": []},
        }
        strokes = {key: provider.settings.strokes for key, provider in registry["audio"].items()}
        assert strokes == {"low": 2, "high": 3, "bell": 2}


def test_what_is_made_works(project: Path, tmp_path: Path) -> None:
    with ProviderRegistry.from_config() as registry:
        [row] = registry["data"]["csv"].load_data("nouns.csv")
        result = registry["audio"]["high"].generate_audio(row["word"], tmp_path / "gato.mp3")
        assert result.success
        assert (tmp_path / "gato.mp3").read_bytes() == b"ding" * 3


def test_pipelines_see_what_they_were_given(project: Path) -> None:
    with ProviderRegistry.from_config() as registry:
        assert list(registry.for_pipeline("vocabulary")["audio"]) == ["low", "high", "bell"]
        assert list(registry.for_pipeline("alphabet")["audio"]) == ["high", "bell"]
        assert list(registry.for_pipeline("grammar")["audio"]) == ["bell"]
        assert list(registry.for_pipeline("grammar")["data"]) == ["csv"]


def test_the_environment_fills_in(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROKES", "7")
    assert ProviderRegistry.from_config()["audio"]["high"].settings.strokes == 7


def test_the_embedded_default_is_set_up_without_a_failure(clean_folder: Path) -> None:
    with ProviderRegistry.from_config() as registry:
        assert [failure for failure in registry.failures if failure.name != "espeak"] == []
        everything = registry.for_pipeline("vocabulary")
        assert {"csv", "json"} <= set(everything["data"])
        assert "pico" in everything["audio"]
        assert "apkg" in everything["sync"]


def test_two_registries_do_not_know_of_each_other(project: Path) -> None:
    first, second = ProviderRegistry.from_config(), ProviderRegistry.from_config()
    first.clear_all()
    assert list(second["audio"]) == ["low", "high", "bell"]
    assert second["audio"]["low"] is not first.get("audio", "low")


class TestFailures:
    @pytest.fixture
    def faulty(self, project: Path) -> Path:
        (project / "plugins" / "broken_plugin.py").write_text("1 / 0")
        with (project / "deckwright.toml").open("a") as file:
            file.write(
                '\n[providers.audio.silent]\ntype = "bell"\nstrokes = 0\nstroks = 1\npipelines = ["*"]\n'
                '\n[providers.audio.far]\ntype = "bell"\napi_key = "${NOT_SET}"\npipelines = ["*"]\n'
                '\n[providers.image.nobody]\npipelines = ["*"]\n'
            )
        return project

    def test_each_is_told_with_file_line_plugin_and_cause_and_the_others_work(self, faulty: Path) -> None:
        registry = ProviderRegistry.from_config("deckwright.toml")
        assert list(registry["audio"]) == ["low", "high", "bell"]
        silent, far, nobody = registry.failures
        lines = ["", *Path("deckwright.toml").read_text().splitlines()]
        assert (
            silent.where
            == f"deckwright.toml, line {lines.index('strokes = 0')}, providers.audio.silent.strokes"
        )
        assert silent.error == "0 is not allowed (must be >= 1)"
        assert silent.plugin == f"bells (file {faulty / 'plugins' / 'bells.py'})"
        key = lines.index('api_key = "${NOT_SET}"')
        assert far.where == f"deckwright.toml, line {key}, providers.audio.far.api_key"
        assert "NOT_SET is not set" in far.error
        header = lines.index("[providers.image.nobody]")
        assert nobody.where == f"deckwright.toml, line {header}, providers.image.nobody"
        assert nobody.error_type == "UnknownProviderError"
        assert nobody.plugin == ""

    def test_problems_and_warnings_are_all_of_them_in_words(self, faulty: Path) -> None:
        registry = ProviderRegistry.from_config("deckwright.toml")
        problems = registry.problems()
        assert len(problems) == 4
        assert problems[0].where.startswith("plugin broken_plugin (file ")
        assert "ZeroDivisionError" in problems[0].message
        assert sum("providers." in problem.where for problem in problems) == 3
        [warning] = registry.warnings
        assert "stroks: unknown setting, did you mean 'strokes'?" in warning.message

    def test_each_is_logged_once(self, faulty: Path, caplog: pytest.LogCaptureFixture) -> None:
        registry = ProviderRegistry.from_config("deckwright.toml")
        problems = [*registry.problems(), *registry.warnings]
        told = [record.getMessage() for record in caplog.records]
        assert sorted(told) == sorted(map(str, problems))
        assert {record.levelno for record in caplog.records} == {logging.WARNING}

    def test_where_each_comes_from_is_logged_for_those_who_look(
        self, faulty: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, logger="deckwright")
        ProviderRegistry.from_config("deckwright.toml")
        traces = [record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG]
        assert any("broken_plugin.py" in text and "Traceback" in text for text in traces)

    def test_strict_raises_them_all_together(self, faulty: Path) -> None:
        registry = ProviderRegistry.from_config("deckwright.toml")
        problems = [*registry.problems(), *registry.warnings]
        with pytest.raises(ProvidersFailedError) as caught:
            ProviderRegistry.from_config("deckwright.toml", strict=True)
        assert list(caught.value.diagnostics) == problems
        assert all(str(problem) in str(caught.value) for problem in problems)

    def test_strict_is_content_with_what_is_right(self, project: Path) -> None:
        ProviderRegistry.from_config(strict=True).close()

    def test_a_wrong_configuration_is_an_error_and_nothing_is_made(self, project: Path) -> None:
        with pytest.raises(ConfigError) as caught:
            ProviderRegistry.from_config({"providers": {"audio": {"a": {}, "b": {}}}})
        assert isinstance(caught.value, ValueError)
        assert len(caught.value.diagnostics) == 2

    def test_a_missing_file_is_an_error(self, clean_folder: Path) -> None:
        with pytest.raises(ConfigError, match=r"nowhere\.toml: the configuration cannot be read"):
            ProviderRegistry.from_config("nowhere.toml")


class TestClosing:
    def registry(self, project: Path, **instances: str) -> ProviderRegistry:
        audio = {key: {"type": name, "pipelines": ["*"]} for key, name in instances.items()}
        return ProviderRegistry.from_config(
            {"plugins": {"paths": [str(project / "plugins")]}, "providers": {"audio": audio}}
        )

    def ring(self, registry: ProviderRegistry, folder: Path) -> list[MediaProvider]:
        for key, provider in registry["audio"].items():
            assert provider.generate_audio("x", folder / key).success
        return list(registry["audio"].values())

    def test_leaving_closes_what_was_opened(self, project: Path) -> None:
        with self.registry(project, a="bell", b="bell") as registry:
            providers: Any = self.ring(registry, project)
        assert all(provider.opened.closed for provider in providers)

    def test_so_does_leaving_by_an_error(self, project: Path) -> None:
        registry = self.registry(project, a="bell")
        [provider] = self.ring(registry, project)
        with pytest.raises(KeyError), registry:
            registry["audio"]["nobody"]
        assert provider.opened.closed

    def test_one_that_fails_is_logged_and_the_others_are_closed(
        self, project: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        registry = self.registry(project, a="bell", b="broken", c="bell")
        providers: Any = self.ring(registry, project)
        registry.close()
        assert all(provider.opened.closed for provider in providers)
        assert [record.getMessage() for record in caplog.records] == [
            "providers.audio.b: could not be closed: RuntimeError: stuck"
        ]

    def test_it_may_be_closed_again(self, project: Path) -> None:
        registry = self.registry(project, a="bell")
        self.ring(registry, project)
        registry.close()
        registry.close()

    def test_strict_closes_what_was_made_before_it_raises(self, project: Path) -> None:
        closed = project / "closed"
        (project / "plugins" / "loud.py").write_text(
            PLUGIN.replace('"bell", "broken"', '"loud",')
            .replace('{"bell": Bell, "broken": Broken}[name]', "Bell")
            .replace(
                "if self.opened:\n            self.opened.close()", f"open({str(closed)!r}, 'w').close()"
            )
        )
        with pytest.raises(ProvidersFailedError):
            ProviderRegistry.from_config(
                {
                    "plugins": {"paths": ["plugins"]},
                    "providers": {"audio": {"loud": {"pipelines": ["*"]}, "nobody": {"pipelines": ["*"]}}},
                },
                strict=True,
            )
        assert closed.exists()


class TestThreads:
    def test_readers_see_the_state_before_or_after_a_change(self, project: Path) -> None:
        registry = ProviderRegistry.from_config()
        bell = registry["audio"]["bell"]
        done = threading.Event()

        def read() -> int:
            seen = 0
            while not done.is_set() or not seen:
                view = registry.for_pipeline("grammar")["audio"]
                assert list(view) in (["bell"], ["bell", "late"]), list(view)
                assert view["bell"] is registry.get("audio", "bell")
                assert registry.get_provider_info()["audio_providers"]["count"] in (3, 4)
                seen += 1
            return seen

        with ThreadPoolExecutor(4) as pool:
            readers = [pool.submit(read) for _ in range(4)]
            for _ in range(200):
                registry.register_audio_provider("late", bell)
                registry.set_pipeline_assignments("audio", "late", ["words"])
                registry.set_pipeline_assignments("audio", "late", ["*"])
            done.set()
            assert all(reader.result() for reader in readers)

    def test_plugins_are_loaded_once_however_many_ask_first(self, project: Path) -> None:
        plugin = project / "plugins" / "bells.py"
        plugin.write_text(PLUGIN + "\nwith open('imports', 'a') as file:\n    file.write('x')\n")
        registry = ProviderRegistry()
        registry.config = Config.load("deckwright.toml")
        barrier = threading.Barrier(4)

        def ask() -> object:
            barrier.wait()
            return registry.plugins

        with ThreadPoolExecutor(4) as pool:
            answers = [future.result() for future in [pool.submit(ask) for _ in range(4)]]
        assert len({id(answer) for answer in answers}) == 1
        assert Path("imports").read_text() == "x"


class TestViews:
    """What a registry hands out stays as it was, whatever others do meanwhile."""

    def test_it_may_be_gone_through_while_others_register(self) -> None:
        registry, stop = ProviderRegistry(), threading.Event()

        def register() -> None:
            for number in range(20_000):
                registry.register_audio_provider(f"i{number}", object())  # type: ignore[arg-type]
            stop.set()

        writer = threading.Thread(target=register)
        writer.start()
        while not stop.is_set():
            assert all(registry["audio"].values())
            assert all(registry.for_pipeline("any")["audio"].values())
        writer.join()
        assert len(registry["audio"]) == 20_000

    def test_there_is_one_default_registry_for_all_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import deckwright.default_registry as module

        for _ in range(50):
            monkeypatch.setattr(module, "_default_registry", None)
            with ThreadPoolExecutor(8) as pool:
                made = list(pool.map(lambda _: module.get_provider_registry(), range(8)))
            assert len(set(map(id, made))) == 1

    def test_those_registered_last_are_closed_first_whatever_their_type(self) -> None:
        closed: list[str] = []

        class Door:
            def __init__(self, name: str) -> None:
                self.close = lambda: closed.append(name)

        registry = ProviderRegistry()
        registry.register_sync_provider("a", Door("a"))  # type: ignore[arg-type]
        registry.register_audio_provider("b", Door("b"))  # type: ignore[arg-type]
        registry.register_image_provider("c", Door("c"))  # type: ignore[arg-type]
        registry.close()
        assert closed == ["c", "b", "a"]

    def test_pipelines_are_a_list(self) -> None:
        with pytest.raises(ValueError, match="a list of names, not 'vocabulary'"):
            ProviderRegistry().set_pipeline_assignments("audio", "a", "vocabulary")


class TestOddities:
    """What is passed over is told."""

    @pytest.mark.parametrize(
        ("text", "remark"),
        [
            ("[buidl]", "deckwright.toml, line 1, buidl: nothing reads this section, did you mean 'build'?"),
            (
                "[apis.pcio]",
                "deckwright.toml, line 1, apis.pcio: nothing reads this section, did you mean 'pico'?",
            ),
            (
                '[plugins]\ndisable = ["pico"]',
                "there is no plugin 'pico', did you mean 'deckwright_builtins.pico'?",
            ),
        ],
    )
    def test_in_a_configuration(self, clean_folder: Path, text: str, remark: str) -> None:
        path = clean_folder / "deckwright.toml"
        path.write_text(f'{text}\n[apis.base]\n[providers.audio.pico]\npipelines = ["*"]\n', encoding="utf-8")
        [warning] = ProviderRegistry.from_config("deckwright.toml").warnings
        assert remark in str(warning)

    def test_the_old_format_is_refused_beside_the_new_one(self) -> None:
        providers = {"audio": {"pico": {"pipelines": ["*"]}}}
        with pytest.raises(ConfigError, match="old format"):
            ProviderRegistry.from_config({"providers": providers, "image": {"type": "openai"}})

    def test_the_faults_of_all_sections_are_told_at_once(self) -> None:
        with pytest.raises(ConfigError) as caught:
            ProviderRegistry.from_config({"providers": {"audio": {"pico": {}}}, "plugins": {"pathes": []}})
        assert len(caught.value.diagnostics) == 2
        assert "'pipelines'" in caught.value.diagnostics[0].message
        assert "did you mean 'paths'" in caught.value.diagnostics[1].message


def test_a_pipeline_may_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPE", "vocabulary")
    registry = ProviderRegistry.from_config({"providers": {"audio": {"pico": {"pipelines": ["${PIPE}"]}}}})
    assert registry.get_pipeline_assignments("audio", "pico") == ["vocabulary"]
    assert list(registry.for_pipeline("vocabulary")["audio"]) == ["pico"]
    assert not registry.for_pipeline("other")["audio"]
