"""The engine `dask`, with workers that are processes of their own: `tox run -e dask`."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from deckwright import (
    BuildError,
    Engine,
    MediaProvider,
    MediaRequest,
    MediaResult,
    NotFoundError,
    ProviderError,
    ProviderRegistry,
    QuotaError,
    RateLimitedError,
    TransientError,
    build_deck,
    hookimpl,
)
from deckwright.testing.servers import OpenAIServer, openai
from deckwright_builtins.dask.engine import Dask, setup_of
from deckwright_builtins.dask.local import local_workers

TRICKY = Path(__file__).with_name("tricky.py")
KEY = "the-key-of-nobody"
VARIABLE = "DECKWRIGHT_TEST_KEY"
EVERYWHERE = {"pipelines": ["*"]}

pytestmark = pytest.mark.usefixtures("key")


@pytest.fixture(scope="module", autouse=True)
def key() -> Iterator[None]:
    """The key, in the environment of this process and of its workers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, KEY)
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(KEY) as server:
        yield server


def config_of(server: OpenAIServer | None = None, **engine: Any) -> dict[str, Any]:
    openai = {**EVERYWHERE, "api_key": f"${{{VARIABLE}}}", "max_retries": 0}
    providers: dict[str, Any] = {
        "audio": {
            "tricky": {**EVERYWHERE, "api_key": f"${{{VARIABLE}}}"},
            "service": EVERYWHERE,
        },
        "engine": {"dask": {**EVERYWHERE, **engine}},
    }
    if server:
        providers["image"] = {
            "fast": {**openai, "type": "openai", "base_url": server.base_url, "requests_per_second": 5},
            "narrow": {**openai, "type": "openai", "base_url": server.base_url, "max_concurrent": 2},
        }
    return {"plugins": {"paths": [str(TRICKY)]}, "providers": providers}


class EngineUnderTest:
    """An engine with what it needs."""

    def __init__(self, config: dict[str, Any], folder: Path, **more: Any) -> None:
        self.registry = ProviderRegistry.from_config(config, strict=True, **more)
        self.engine: Dask = self.registry.get("engine", "dask")
        self.folder = folder
        self.numbers = iter(range(1_000_000))
        self.lock = threading.Lock()

    def request(self, type: str, word: str) -> MediaRequest:
        with self.lock:
            return MediaRequest(type, word, {"language": "en"}, self.folder / f"new-{next(self.numbers)}.mp3")

    def generate(self, word: str, instance: str = "tricky", type: str = "audio") -> MediaResult:
        return self.engine.generate(type, instance, self.request(type, word))

    def generate_all(self, words: Sequence[str], instance: str = "tricky", type: str = "audio") -> list[Any]:
        """Ask for all words at once, more than the engine allows; return the results, or what was raised."""

        def ask(word: str) -> Any:
            try:
                return self.generate(word, instance, type)
            except Exception as error:
                return error

        with ThreadPoolExecutor(20) as pool:
            return list(pool.map(ask, words))

    def close(self) -> None:
        self.engine.close()
        self.registry.close()


@pytest.fixture(scope="module")
def under_test(
    server: OpenAIServer, key: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EngineUnderTest]:
    """An engine with two workers, for tests that leave it as it is."""
    under_test = EngineUnderTest(config_of(server), tmp_path_factory.mktemp("media"))
    under_test.engine.start(under_test.registry)
    yield under_test
    under_test.close()


@pytest.fixture
def new_engine(tmp_path: Path) -> Iterator[Callable[..., EngineUnderTest]]:
    made: list[EngineUnderTest] = []

    def new_engine(config: dict[str, Any], **more: Any) -> EngineUnderTest:
        made.append(EngineUnderTest(config, tmp_path, **more))
        return made[-1]

    yield new_engine
    for under_test in made:
        under_test.close()


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    latest = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > latest:
            return False
        time.sleep(0.02)
    return True


class TestResults:
    def test_they_are_those_of_threads(self, under_test: EngineUnderTest, server: OpenAIServer) -> None:
        threads = Engine()
        threads.start(under_test.registry)
        for type, instance in (("audio", "tricky"), ("audio", "service"), ("image", "narrow")):
            made = under_test.generate("house", instance, type)
            server.images_made = 0  # its pictures differ from each other
            again = threads.generate(type, instance, under_test.request(type, "house"))
            assert made.success
            assert again.success
            assert made.file_path is not None
            assert again.file_path is not None
            if type == "audio":
                assert made.file_path.read_bytes() == again.file_path.read_bytes()
            assert made.file_path.parent == under_test.folder
            assert made.file_path.suffix == again.file_path.suffix
            theirs = {"pid", "folder", "request_id"}
            assert made.metadata.keys() == again.metadata.keys()
            assert {key: made.metadata[key] for key in made.metadata.keys() - theirs} == {
                key: again.metadata[key] for key in again.metadata.keys() - theirs
            }

    def test_what_is_local_is_made_by_all_workers_and_leaves_nothing_there(
        self, under_test: EngineUnderTest
    ) -> None:
        results = under_test.generate_all([f"word {number}" for number in range(40)])
        assert all(result.success for result in results)
        pids = {result.metadata["pid"] for result in results}
        assert len(pids) == 2
        assert os.getpid() not in pids
        assert not any(Path(result.metadata["folder"]).exists() for result in results)
        assert not list(under_test.folder.glob(".deckwright-*"))

    def test_what_speaks_to_a_service_is_at_one_worker(self, under_test: EngineUnderTest) -> None:
        results = under_test.generate_all([f"word {number}" for number in range(40)], "service")
        assert len({result.metadata["pid"] for result in results}) == 1

    def test_what_cannot_be_sent_of_the_metadata_is_left_out(self, under_test: EngineUnderTest) -> None:
        assert under_test.generate("unsendable").metadata.keys() == {"seconds", "pid", "folder"}


class TestErrors:
    def test_they_keep_class_and_attributes(self, under_test: EngineUnderTest) -> None:
        transient = under_test.generate("transient").failure
        assert isinstance(transient, TransientError)
        assert (transient.message, transient.hint, transient.reply_lost) == ("it broke", "Wait.", True)
        limited = under_test.generate("limited").failure
        assert isinstance(limited, RateLimitedError)
        assert limited.retry_after == 2.5
        quota = under_test.generate("quota").failure
        assert isinstance(quota, QuotaError)
        assert quota.resets_at is not None
        assert quota.resets_at.year == 2030
        assert quota.out_for_run

    def test_a_class_of_a_plugin_that_cannot_be_sent_comes_as_the_nearest_of_ours(
        self, under_test: EngineUnderTest
    ) -> None:
        result = under_test.generate("own")
        assert type(result.failure) is NotFoundError
        assert (result.error, result.failure.hint) == ("no own in this book", "Look elsewhere.")
        assert result.failure.where == "this book"  # type: ignore[attr-defined]

    def test_a_fault_says_where_it_arose(self, under_test: EngineUnderTest) -> None:
        failure = under_test.generate("bug").failure
        assert failure is not None
        assert failure.is_unexpected
        assert failure.message == "LookupError: a fault"
        assert "tricky.py" in str(failure.hint)

    def test_they_show_no_key(self, under_test: EngineUnderTest) -> None:
        assert under_test.generate("secret").error == "nothing for ***"

    def test_those_of_a_service_are_what_they_are_with_threads(
        self, under_test: EngineUnderTest, server: OpenAIServer
    ) -> None:
        server.fail(openai.INSUFFICIENT_QUOTA)
        failure = under_test.generate("house", "narrow", "image").failure
        assert isinstance(failure, QuotaError)
        assert failure.hint


class TestLimits:
    def test_a_rate_is_that_of_the_whole(self, under_test: EngineUnderTest, server: OpenAIServer) -> None:
        server.requests.clear()
        results = under_test.generate_all([f"word {number}" for number in range(16)], "fast", "image")
        assert all(result.success for result in results)
        times = sorted(received.at for received in server.requests)
        assert len(times) == 16
        assert all(later - earlier >= 1 for earlier, later in zip(times, times[5:], strict=False))

    def test_so_is_a_number_of_requests_at_once(
        self, under_test: EngineUnderTest, server: OpenAIServer
    ) -> None:
        server.max_at_once, server.latency = 0, 0.02
        try:
            assert under_test.engine.at_once("image", "narrow", 2) == 2
            results = under_test.generate_all([f"word {number}" for number in range(20)], "narrow", "image")
        finally:
            server.latency = 0
        assert all(result.success for result in results)
        assert server.max_at_once == 2

    def test_what_is_local_may_be_asked_as_often_at_once_on_every_worker(
        self, under_test: EngineUnderTest
    ) -> None:
        assert under_test.engine.at_once("audio", "tricky", 4) == 8


class TestLostWorkers:
    @pytest.fixture(params=["workers of its own", "a cluster"])
    def under_test(
        self, request: pytest.FixtureRequest, new_engine: Callable[..., EngineUnderTest]
    ) -> Iterator[EngineUnderTest]:
        with ExitStack() as stack:
            own = request.param == "workers of its own"
            under_test = new_engine(
                config_of() if own else config_of(scheduler=stack.enter_context(local_workers(2, 60)))
            )
            under_test.engine.start(under_test.registry)
            yield under_test
            under_test.close()

    def test_one_that_is_killed_takes_nothing_else_with_it(self, under_test: EngineUnderTest) -> None:
        under_test.engine.at_once("audio", "tricky", 4)
        words = [f"word {number}" for number in range(60)]
        words[20] = "die"
        results = under_test.generate_all(words)
        lost = [result for result in results if isinstance(result, Exception)]
        assert all(isinstance(error, TransientError) and error.reply_lost for error in lost)
        assert 1 <= len(lost) <= 4
        assert len({str(error).partition(" was lost")[0] for error in lost}) == 1
        assert isinstance(results[20], TransientError)
        assert "Worker " in str(results[20])
        assert Counter(type(result) for result in results)[MediaResult] == 60 - len(lost)
        # What had a worker to itself goes to another.
        assert all(result.success for result in under_test.generate_all(["a", "b"], "service"))
        assert all(result.success for result in under_test.generate_all(["a", "b"], "tricky"))
        with pytest.raises(TransientError):
            under_test.generate("die")
        started = time.monotonic()
        with pytest.raises(BuildError, match="no worker left"):
            under_test.generate("house")
        assert time.monotonic() - started < 5

    def test_a_scheduler_that_is_gone_ends_the_build(
        self, new_engine: Callable[..., EngineUnderTest]
    ) -> None:
        with local_workers(2, 60) as scheduler:
            under_test = new_engine(config_of(scheduler=scheduler))
            under_test.engine.start(under_test.registry)
            assert under_test.generate("house").success
            assert under_test.engine.check_connection() == "the scheduler answers, and has 2 workers"
        results = [*under_test.generate_all(["a", "b", "c"]), *under_test.generate_all(["d", "e"])]
        assert {type(result) for result in results} <= {TransientError, BuildError}
        assert isinstance(results[-1], BuildError)


class TestStarting:
    def test_a_plugin_that_a_worker_lacks_is_reported(
        self, new_engine: Callable[..., EngineUnderTest], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with local_workers(1, 60) as scheduler:
            config = config_of(scheduler=scheduler)
            del config["plugins"]
            monkeypatch.setenv("DECKWRIGHT_PLUGINS", str(TRICKY))  # of this process only
            under_test = new_engine(config)
            with pytest.raises(BuildError) as raised:
                under_test.engine.start(under_test.registry)
        assert "Worker 1 (tcp://127.0.0.1" in raised.value.message
        assert "has no providers.audio.tricky: providers.audio.tricky: Unknown" in raised.value.message
        assert "has no providers.audio.service" in raised.value.message

    def test_so_is_a_variable(
        self, new_engine: Callable[..., EngineUnderTest], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv(VARIABLE)
        with local_workers(1, 60) as scheduler:
            monkeypatch.setenv(VARIABLE, KEY)
            under_test = new_engine(config_of(scheduler=scheduler))
            with pytest.raises(BuildError, match=f"the environment variable {VARIABLE} is not set"):
                under_test.engine.start(under_test.registry)

    def test_an_object_of_the_program_is_refused(self, new_engine: Callable[..., EngineUnderTest]) -> None:
        class Here(MediaProvider):
            supported_types = ("audio",)

            def _generate_media_impl(self, request: MediaRequest) -> MediaResult:
                raise NotImplementedError

        class Plugin:
            @staticmethod
            @hookimpl
            def register_media_provider(type: str, name: str, config: dict[str, Any]) -> Any:
                return Here(config) if name == "here" else None

        config = config_of()
        config["providers"]["audio"] = {"here": EVERYWHERE}
        under_test = new_engine(config, plugins=[Plugin])
        under_test.registry.register_audio_provider("mine", Here())
        with pytest.raises(BuildError) as raised:
            under_test.engine.start(under_test.registry)
        assert (
            "providers.audio.here belongs to the plugin Plugin, an object of the program"
            in raised.value.message
        )
        assert "providers.audio.mine was registered by the program itself" in raised.value.message

    def test_a_scheduler_that_is_not_there_is_reported(
        self, new_engine: Callable[..., EngineUnderTest]
    ) -> None:
        under_test = new_engine(config_of(scheduler="tcp://127.0.0.1:9", timeout=0.5))
        with pytest.raises(BuildError, match=r"No Dask scheduler can be reached at tcp://127\.0\.0\.1:9"):
            under_test.engine.start(under_test.registry)
        with pytest.raises(ProviderError, match="No Dask scheduler can be reached"):
            under_test.engine.check_connection()

    def test_a_key_in_the_environment_does_not_travel(self, server: OpenAIServer) -> None:
        with ProviderRegistry.from_config(config_of(server)) as registry:
            assert registry.get("audio", "tricky").config["api_key"] == KEY
            sent = pickle.dumps(setup_of(registry))
        assert KEY.encode() not in sent
        assert VARIABLE.encode() in sent


PROGRAM = """
import sys
from deckwright import MediaRequest, ProviderRegistry

registry = ProviderRegistry.from_config({config!r})
engine = registry.get("engine", "dask")
engine.start(registry)
def ask(number):
    result = engine.generate("audio", "tricky", MediaRequest("audio", str(number), {{}}, f"{{number}}.mp3"))
    print(result.metadata["pid"], flush=True)
for number in range(10):
    ask(number)
print("done", flush=True)
sys.stdin.read()
for number in range(10):
    ask(number)
engine.close()
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
class TestSignals:
    @pytest.fixture
    def program(self, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
        """A program without `if __name__ == "__main__"`, with an engine that has started."""
        script = tmp_path / "program.py"
        script.write_text(PROGRAM.format(config=config_of()))
        folder = tmp_path / "temporary"
        folder.mkdir()
        process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                "TMPDIR": str(folder),
            },
        )
        with process:
            yield process
            process.kill()

    @staticmethod
    def workers_of(program: subprocess.Popen[str]) -> set[int]:
        assert program.stdout is not None
        lines = []
        while (line := program.stdout.readline().strip()) not in ("", "done"):
            lines.append(line)
        pids = {int(line) for line in lines if line.isdigit()}
        assert len(pids) == 2, lines
        return pids

    def test_workers_end_with_a_build_that_is_killed(
        self, program: subprocess.Popen[str], tmp_path: Path
    ) -> None:
        pids = self.workers_of(program)
        program.kill()
        assert eventually(lambda: not any(map(psutil.pid_exists, pids)))
        folder = tmp_path / "temporary"
        assert eventually(lambda: not [*folder.glob("deckwright-*/[12]")])

    def test_an_interrupt_leaves_them_at_work(self, program: subprocess.Popen[str], tmp_path: Path) -> None:
        pids = self.workers_of(program)
        for pid in pids:
            os.kill(pid, signal.SIGINT)
        out, _ = program.communicate("")
        assert {int(line) for line in out.split()} == pids  # and nothing is logged
        assert program.returncode == 0
        assert not any(map(psutil.pid_exists, pids))
        assert not [*(tmp_path / "temporary").iterdir()]


def test_a_deck_is_built(server: OpenAIServer, tmp_path: Path) -> None:
    config = config_of(server)
    config["build"] = {"engine": "dask", "language": "en"}
    config["providers"]["sync"] = {"apkg": EVERYWHERE}
    report = build_deck(["house", "tree", "cat"], config=config, output=tmp_path / "deck.apkg")
    assert report.cards
    assert (tmp_path / "deck.apkg").is_file()
    assert report.delivered == {"sounds": (3, 3), "pictures": (3, 3)}
