from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import espeakng_loader
import pytest

from deckwright import (
    MediaResult,
    MissingDependencyError,
    NotFoundError,
    ProviderError,
    SettingError,
    TransientError,
)
from deckwright_builtins import espeak
from deckwright_builtins.espeak import Espeak, process
from deckwright_builtins.pico import Pico

Say = Callable[..., MediaResult]
Hear = Callable[..., Any]

WORDS = [
    *(("en", word) for word in ("house", "strengths", "I")),
    *(("de", word) for word in ("Haus", "Mädchen", "Ei")),
    *(("es", word) for word in ("casa", "niña", "y")),
    *(("fr", word) for word in ("maison", "œil")),
    *(("ru", word) for word in ("дом", "здравствуйте")),
    ("zh", "房子"),
    ("ja", "みず"),
    ("ko", "고양이"),
    ("ar", "ماء"),
    ("hi", "पानी"),
    ("tr", "ekmek"),
]


@pytest.fixture(scope="module")
def shared() -> Iterator[Espeak]:
    """A provider for all tests that change nothing in it: each provider starts a process."""
    provider = Espeak()
    yield provider
    provider.close()


@pytest.fixture
def provider() -> Iterator[Espeak]:
    provider = Espeak()
    yield provider
    provider.close()


@pytest.fixture
def make() -> Iterator[Callable[[dict[str, Any]], Espeak]]:
    """Make providers that are closed in the end."""
    made: list[Espeak] = []

    def make(settings: dict[str, Any]) -> Espeak:
        made.append(Espeak(settings))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that are started, as they are."""
    processes: list[subprocess.Popen[bytes]] = []

    class Recorded(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            processes.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    return processes


def a_program_with_a_worker(code: str, *inherited: int) -> subprocess.Popen[bytes]:
    """Start a program, leading a group of its own, that has a `worker` and runs this code.

    Args:
        code: What it runs.
        inherited: Files that the worker, too, has open for as long as it runs.
    """
    paths = [espeakng_loader.get_library_path(), espeakng_loader.get_data_path()]
    start = (
        f"import functools, subprocess, sys; sys.path[:] = {sys.path!r}\n"
        "from deckwright_builtins.espeak import process\n"
        f"subprocess.Popen = functools.partial(subprocess.Popen, pass_fds={inherited!r})\n"
        f"worker = process.Worker(*{paths!r}, 20)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", start + code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=inherited,
        start_new_session=True,
    )


class TestSound:
    @pytest.mark.parametrize(("language", "word"), WORDS)
    def test_a_word_becomes_a_short_clear_mp3(
        self, shared: Espeak, hear: Hear, language: str, word: str
    ) -> None:
        sound = hear(shared, word, language)
        assert 0.2 < sound.seconds < 1.5
        assert sound.peak < 32_767
        assert -27 < sound.decibels < -10
        assert max(sound.silence) <= 0.2

    @pytest.mark.parametrize("language", ["en", "de", "es", "fr"])
    def test_it_is_about_as_loud_as_pico(self, shared: Espeak, hear: Hear, language: str) -> None:
        pytest.importorskip("py_nanotts")
        words = [word for tag, word in WORDS if tag == language]

        def loudness(synthesiser: Any) -> float:
            return sum(hear(synthesiser, word, language).decibels for word in words) / len(words)

        assert loudness(shared) == pytest.approx(loudness(Pico()), abs=3)

    def test_the_same_word_gives_the_same_bytes_whatever_came_before(
        self, shared: Espeak, make: Callable[[dict[str, Any]], Espeak], say: Say
    ) -> None:
        def spoken(by: Espeak) -> bytes:
            path = say(by, "house", "en").file_path
            assert path is not None
            return path.read_bytes()

        first = spoken(shared)
        say(shared, "vache", "fr")
        assert spoken(shared) == first
        assert spoken(make({})) == first

    def test_settings_change_what_is_heard(
        self, shared: Espeak, make: Callable[[dict[str, Any]], Espeak], hear: Hear
    ) -> None:
        plain = hear(shared, "water", "en")
        assert hear(make({"speed": 80}), "water", "en").seconds > plain.seconds * 1.2
        assert hear(make({"volume": 40}), "water", "en").decibels < plain.decibels - 4
        assert hear(make({"pitch": 90}), "water", "en").samples != plain.samples

    @pytest.mark.parametrize(
        "settings", [{"volume": 201}, {"speed": 79}, {"pitch": 100}, {"timeout": 0}, {"speed": "fast"}]
    )
    def test_a_setting_outside_its_limits_is_refused(self, settings: dict[str, Any]) -> None:
        with pytest.raises(SettingError) as caught:
            Espeak(settings)
        assert caught.value.key == next(iter(settings))


class TestLanguages:
    @pytest.mark.parametrize(
        ("tag", "voice"),
        [
            ("en", "gmw/en-US"),
            ("en_GB", "gmw/en"),
            ("EN-gb-oxendict", "gmw/en"),
            ("fr", "roa/fr"),
            ("fr-FR", "roa/fr"),
            ("es-MX", "roa/es-419"),
            ("pt", "roa/pt"),
            ("pt-BR", "roa/pt-BR"),
            ("zh", "sit/cmn"),
            ("zh-Hant-TW", "sit/cmn"),
            ("zh-HK", "sit/yue"),
            ("no", "gmq/nb"),
            ("chr", "iro/chr"),
            ("de-AT", "gmw/de"),
        ],
    )
    def test_a_tag_finds_its_voice(
        self, shared: Espeak, make: Callable[[dict[str, Any]], Espeak], hear: Hear, tag: str, voice: str
    ) -> None:
        word = {"zh": "鱼", "chr": "ᎣᏏᏲ"}.get(tag.partition("-")[0], "cent")
        # A tag that chooses no voice, and Chinese so that any text is read.
        spoken = hear(make({"voice": voice}), word, "zh-x-any")
        assert hear(shared, word, tag).samples == spoken.samples

    def test_an_unknown_language_is_not_found_and_named(self, shared: Espeak, say: Say) -> None:
        failure = say(shared, "word", "xx-YY").failure
        assert isinstance(failure, NotFoundError)
        assert "'xx-yy'" in failure.message

    @pytest.mark.parametrize("voice", ["en-gb-scotland", "English (Scotland)", "gmw/en-GB-scotland", "en+f3"])
    def test_a_voice_of_ones_own_choice(
        self, shared: Espeak, make: Callable[[dict[str, Any]], Espeak], hear: Hear, voice: str
    ) -> None:
        own = hear(make({"voice": voice}), "house", "en")
        assert own.samples != hear(shared, "house", "en").samples

    def test_a_voice_that_does_not_exist_is_named(
        self, make: Callable[[dict[str, Any]], Espeak], say: Say
    ) -> None:
        failure = say(make({"voice": "nobody"}), "house", "en").failure
        assert isinstance(failure, NotFoundError)
        assert "nobody" in failure.message


class TestWriting:
    def test_japanese_is_spoken_by_its_reading(self, shared: Espeak, hear: Hear) -> None:
        by_reading = hear(shared, "日本", "ja", reading="にほん")
        assert by_reading.samples == hear(shared, "にほん", "ja").samples

    @pytest.mark.parametrize("params", [{}, {"reading": ""}, {"reading": " "}, {"reading": "日本"}])
    def test_kanji_without_a_reading_are_not_found(
        self, shared: Espeak, say: Say, params: dict[str, str]
    ) -> None:
        failure = say(shared, "食べる", "ja", **params).failure
        assert isinstance(failure, NotFoundError)
        assert "reading" in (failure.hint or "")

    def test_a_reading_is_for_japanese_only(self, shared: Espeak, hear: Hear) -> None:
        with_reading = hear(shared, "鱼", "zh", reading="yu2")
        assert with_reading.samples == hear(shared, "鱼", "zh").samples

    def test_chinese_characters_outside_chinese_are_not_found(self, shared: Espeak, say: Say) -> None:
        assert isinstance(say(shared, "日本", "en").failure, NotFoundError)

    @pytest.mark.parametrize("word", ["...", "\u200b"])
    def test_what_makes_no_sound_is_not_found(self, shared: Espeak, say: Say, word: str) -> None:
        assert isinstance(say(shared, word, "en").failure, NotFoundError)

    @pytest.mark.parametrize(
        "word",
        ["naïve", "123", "a\x00b", "cat\ud83d", "two\nlines", "😀", "&amp;", "%s%n", '"quoted"', "x" * 2000],
    )
    def test_odd_writing_is_spoken(self, shared: Espeak, hear: Hear, word: str) -> None:
        assert hear(shared, word, "en").seconds > 0.2

    def test_markup_and_phonemes_are_read_as_they_are_written(self, shared: Espeak, hear: Hear) -> None:
        plain = hear(shared, "cat", "en").seconds
        assert hear(shared, "<b>cat</b>", "en").seconds > plain + 0.3
        assert hear(shared, "[[k'at]]", "en").samples != hear(shared, "cat", "en").samples


class TestProcess:
    def test_nothing_is_started_before_the_first_word(
        self, started: list[subprocess.Popen[bytes]], provider: Espeak, say: Say
    ) -> None:
        assert started == []
        say(provider, "house", "en")
        say(provider, "mouse", "en")
        assert len(started) == 1

    def test_closing_leaves_no_process_and_may_be_done_twice(
        self, started: list[subprocess.Popen[bytes]], provider: Espeak, say: Say
    ) -> None:
        provider.close()
        say(provider, "house", "en")
        provider.close()
        provider.close()
        assert started[0].returncode is not None

    def test_a_closed_provider_speaks_again(self, provider: Espeak, say: Say) -> None:
        say(provider, "house", "en")
        provider.close()
        assert say(provider, "house", "en").success

    def test_a_crash_between_two_words_is_not_noticed(
        self, started: list[subprocess.Popen[bytes]], provider: Espeak, say: Say
    ) -> None:
        say(provider, "house", "en")
        started[0].kill()
        started[0].wait()
        assert say(provider, "house", "en").success
        assert len(started) == 2

    def test_a_word_that_always_crashes_is_tried_twice_and_no_more(
        self,
        started: list[subprocess.Popen[bytes]],
        provider: Espeak,
        say: Say,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        crashing = tmp_path / "worker.py"
        crashing.write_text(
            "import sys\n"
            'print(\'{"voices": {"en-us": "en-us"}, "bytes": 0}\', flush=True)\n'
            "sys.stdin.readline()\n"
            "sys.exit('Segmentation fault')\n"
        )
        monkeypatch.setattr(process, "WORKER", crashing)
        failure = say(provider, "house", "en").failure
        assert type(failure) is ProviderError
        assert "Segmentation fault" in failure.message
        assert len(started) == 2

    @pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="a process cannot be halted on this system")
    def test_a_word_that_hangs_is_cut_off_and_the_next_one_works(
        self, started: list[subprocess.Popen[bytes]], make: Callable[[dict[str, Any]], Espeak], say: Say
    ) -> None:
        provider = make({"timeout": 1})
        say(provider, "house", "en")
        os.kill(started[0].pid, signal.SIGSTOP)
        assert isinstance(say(provider, "house", "en").failure, TransientError)
        assert started[0].returncode is not None
        assert say(provider, "house", "en").success

    def test_it_ends_by_itself_when_nobody_speaks_to_it_any_more(self) -> None:
        paths = [espeakng_loader.get_library_path(), espeakng_loader.get_data_path()]
        command = [sys.executable, "-I", str(process.WORKER), *paths]
        done = subprocess.run(command, input=b"", capture_output=True, timeout=20)
        assert done.returncode == 0
        assert json.loads(done.stdout)["voices"]["fr"] == "roa/fr"

    @pytest.mark.skipif(sys.platform == "win32", reason="there, a console sends it to groups in another way")
    def test_an_interrupt_of_the_terminal_does_not_reach_it(self) -> None:
        """Whoever has the words spoken may go on, and finish what it has begun."""
        code = (
            "try:\n"
            "    print('ready', flush=True)\n"
            "    sys.stdin.read()\n"
            "except KeyboardInterrupt:\n"
            "    voice = {'voice': 'gmw/en-US', 'speed': 150, 'pitch': 50, 'volume': 90}\n"
            "    answer, samples = worker.request({'text': 'house', **voice})\n"
            "    print(len(samples), flush=True)\n"
            "worker.close()\n"
        )
        with a_program_with_a_worker(code) as program:
            assert program.stdout is not None
            assert program.stdout.readline() == b"ready\n"
            os.killpg(program.pid, signal.SIGINT)
            assert int(program.stdout.readline()) > 1000
            assert program.wait(20) == 0

    @pytest.mark.skipif(sys.platform == "win32", reason="it is watched by a pipe that it inherits")
    def test_it_ends_when_the_program_is_killed(self) -> None:
        ours, its = os.pipe()
        with os.fdopen(ours, "rb", 0) as pipe:
            try:
                program = a_program_with_a_worker("print('ready', flush=True)\nsys.stdin.read()\n", its)
            finally:
                os.close(its)
            with program:
                assert program.stdout is not None
                assert program.stdout.readline() == b"ready\n"
                assert select.select([pipe], [], [], 0)[0] == []
                program.kill()
            # The end of the pipe comes with the end of the last process that has it open, which is the worker.
            assert select.select([pipe], [], [], 20)[0] == [pipe]
            assert pipe.read() == b""

    def test_eight_threads_may_share_one_provider(self, provider: Espeak, tmp_path: Path) -> None:
        wanted = [(language, word) for language, word in WORDS for _ in range(2)]
        assert len(wanted) > 8 * 4

        def spoken(numbered: tuple[int, tuple[str, str]]) -> bytes:
            number, (language, word) = numbered
            path = tmp_path / f"{number}.mp3"
            result = provider.generate_audio(word, path, language=language)
            assert result.success, result.error
            return path.read_bytes()

        alone = {pair: spoken((number, pair)) for number, pair in enumerate(WORDS)}
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(spoken, enumerate(wanted, start=1000)))
        assert together == [alone[pair] for pair in wanted]


class TestInstallation:
    def test_a_missing_package_says_what_to_install(
        self, provider: Espeak, say: Say, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "espeakng_loader", None)
        failure = say(provider, "house", "en").failure
        assert isinstance(failure, MissingDependencyError)
        assert "espeakng-loader" in failure.message
        assert failure.hint == 'pip install "deckwright[offline]"'

    def test_a_broken_library_is_said_to_be_one(
        self, provider: Espeak, say: Say, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        library = tmp_path / "libespeak-ng.so"
        library.write_bytes(b"not a library")
        monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: str(library))
        failure = say(provider, "house", "en").failure
        assert isinstance(failure, MissingDependencyError)
        assert "OSError" in failure.message

    def test_missing_data_is_said_to_be_missing(
        self, provider: Espeak, say: Say, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(tmp_path / "nowhere"))
        failure = say(provider, "house", "en").failure
        assert isinstance(failure, MissingDependencyError)
        assert "nowhere" in failure.message

    @pytest.mark.parametrize("links", [True, False], ids=["with links", "without links"])
    def test_data_in_a_place_too_deep_for_espeak_is_found(
        self, provider: Espeak, say: Say, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, links: bool
    ) -> None:
        deep = tmp_path / ("d" * 100) / ("e" * 100)
        shutil.copytree(espeakng_loader.get_data_path(), deep)
        monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(deep))
        with tempfile.TemporaryDirectory() as short:
            monkeypatch.setattr(tempfile, "tempdir", short)
            if not links:

                def refuse(*_args: Any, **_kwargs: Any) -> None:
                    raise OSError("A required privilege is not held by the client")

                monkeypatch.setattr(Path, "symlink_to", refuse)
            result = say(provider, "house", "en")
            assert result.success, result.error
            provider.close()
            assert list(Path(short).iterdir()) == []
        assert (deep / "en_dict").exists()

    def test_neither_importing_nor_making_it_loads_the_library(self) -> None:
        code = (
            f"import sys; sys.path[:] = {sys.path!r}\n"
            "from deckwright_builtins.espeak import Espeak\n"
            "Espeak({'volume': 50})\n"
            "print({'espeakng_loader', 'lameenc', 'ctypes'} & set(sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "set()"


def test_only_its_own_type_and_name_are_made() -> None:
    assert isinstance(espeak.register_media_provider("audio", "espeak", {}), Espeak)
    assert espeak.register_media_provider("image", "espeak", {}) is None
    assert espeak.register_media_provider("audio", "pico", {}) is None


def test_it_describes_what_it_makes() -> None:
    (info,) = espeak.describe_media_providers()
    assert isinstance(espeak.register_media_provider(info.type, info.name, {}), Espeak)
    assert info.config_class is Espeak.config_class
