"""What can be said of the engine `dask` where Dask is not installed; the rest is in tests/dask."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from deckwright import (
    BuildError,
    MediaRequest,
    MediaResult,
    MissingDependencyError,
    NotFoundError,
    ProviderRegistry,
    QuotaError,
    SettingError,
)
from deckwright.testing.servers.samples import mp3
from deckwright_builtins.dask.engine import Dask, setup_of
from deckwright_builtins.dask.worker_runtime import SentError, SentResult, Setup, WorkerRuntime

EVERYWHERE = {"pipelines": ["*"]}


@pytest.fixture
def without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)


@pytest.mark.usefixtures("without_dask")
class TestWithoutDask:
    @pytest.mark.parametrize("settings", [{}, {"scheduler": "tcp://127.0.0.1:9"}])
    def test_it_says_what_to_install(self, settings: dict[str, Any]) -> None:
        engine = Dask(settings)
        for attempt in (lambda: engine.start(ProviderRegistry()), engine.check_connection):
            with pytest.raises(MissingDependencyError) as raised:
                attempt()
            assert raised.value.hint == 'pip install "deckwright[dask]"'
        engine.close()

    def test_it_can_be_configured(self) -> None:
        config = {"providers": {"engine": {"dask": {**EVERYWHERE, "workers": 3}}}}
        with ProviderRegistry.from_config(config, strict=True) as registry:
            assert registry.get("engine", "dask").settings.workers == 3
            info = registry.info_of("engine", "dask")
        assert info is not None
        assert info.extra == "deckwright[dask]"


@pytest.mark.parametrize("settings", [{"workers": 0}, {"workers": 65}, {"timeout": 0}, {"scheduler": ""}])
def test_settings_have_limits(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        Dask(settings)


def test_before_it_is_started_nobody_is_there_to_ask(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="no worker"):
        Dask().generate("audio", "pico", MediaRequest("audio", "house", {}, tmp_path / "house.mp3"))


def test_workers_get_a_configuration_as_it_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DECKWRIGHT_TEST_KEY", "the-key-of-nobody")
    path = tmp_path / "deckwright.toml"
    path.write_text(
        '[providers.image.openai]\npipelines = ["*"]\napi_key = "${DECKWRIGHT_TEST_KEY}"\n', encoding="utf-8"
    )
    with ProviderRegistry.from_config(path) as registry:
        assert registry.get("image", "openai").settings.api_key == "the-key-of-nobody"
        setup = setup_of(registry)
    assert setup.written["providers"]["image"]["openai"]["api_key"] == "${DECKWRIGHT_TEST_KEY}"
    assert setup.path == str(path)


PLUGIN = """
from deckwright import MediaProvider, MediaResult, ProviderInfo, hookimpl
from deckwright.testing.servers.samples import mp3


class Voice(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        print("never seen")
        request.target.write_bytes(mp3(request.content))
        return MediaResult(True, request.target, {"key": 1})


@hookimpl
def register_media_provider(type, name, config):
    print("the key is", config)
    return Voice(config)
"""


class TestWorkerRuntime:
    @pytest.fixture
    def runtime(self, tmp_path: Path) -> WorkerRuntime:
        (tmp_path / "voice.py").write_text(PLUGIN, encoding="utf-8")
        written = {
            "plugins": {"paths": ["voice.py"]},
            "providers": {"audio": {"voice": EVERYWHERE}, "image": {"none": EVERYWHERE, "voice": EVERYWHERE}},
        }
        return WorkerRuntime("id", Setup(written, str(tmp_path / "deckwright.toml"), None))

    def test_it_finds_plugins_beside_the_configuration_and_shows_nothing_of_theirs(
        self, runtime: WorkerRuntime, capfd: pytest.CaptureFixture[str]
    ) -> None:
        report = runtime.report("worker")
        assert ("audio", "voice") in report.instances
        assert ("image", "voice") in report.failures
        assert capfd.readouterr() == ("", "")
        runtime.close()

    def test_it_returns_what_was_made_and_keeps_nothing(self, runtime: WorkerRuntime) -> None:
        result = runtime.run("audio", "voice", MediaRequest("audio", "house"), "new-1.mp3")
        assert (result.success, result.ending, result.content) == (True, ".mp3", mp3("house"))
        runtime.close()

    def test_it_returns_what_is_raised(self, runtime: WorkerRuntime) -> None:
        result = runtime.run("audio", "unknown", MediaRequest("audio", "house"), "new-1.mp3")
        assert result.raised is not None
        assert "KeyError" in result.raised.error().message
        assert not isinstance(result, MediaResult)
        runtime.close()

    def test_a_configuration_that_is_wrong_is_a_problem_and_no_crash(self) -> None:
        runtime = WorkerRuntime("id", Setup({"providers": {"audio": {"pico": {}}}}, None, None))
        [problem] = runtime.report("worker").problems
        assert "pipelines" in problem
        runtime.close()


class LocalError(QuotaError):
    """Of a class that other processes do not know."""


def test_an_error_whose_class_is_not_known_is_the_nearest_of_ours() -> None:
    error = LocalError("the key sesame1 is spent", hint="Pay.")
    sent = SentError.of(error, ["sesame1"])
    assert type(sent.error()) is LocalError
    received = SentError(sent.pickled.replace(b"LocalError", b"OtherError"), sent.fallback).error()
    assert type(received) is QuotaError
    assert (received.message, received.hint) == ("the key *** is spent", "Pay.")
    assert isinstance(SentResult(failure=SentError.of(NotFoundError("no"), ())).failure, SentError)
