from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from deckwright import MediaResult, MissingDependencyError, NotFoundError, SettingError
from deckwright_builtins import pico
from deckwright_builtins.pico import Pico

pytest.importorskip("py_nanotts", reason="there is no Pico for this system")

Say = Callable[..., MediaResult]
Hear = Callable[..., Any]

WORDS = [
    *(("en", word) for word in ("house", "strengths", "I", "see")),
    *(("de", word) for word in ("Haus", "Mädchen", "Ei")),
    *(("es", word) for word in ("casa", "niña", "y")),
    *(("fr", word) for word in ("maison", "œil", "l\u2019eau")),
    *(("it", word) for word in ("casa", "perché", "è")),
]


@pytest.mark.parametrize(("language", "word"), WORDS)
def test_a_word_becomes_a_short_clear_mp3(hear: Hear, language: str, word: str) -> None:
    sound = hear(Pico(), word, language)
    assert 0.2 < sound.seconds < 1.5
    assert sound.peak < 32_767
    assert -25 < sound.decibels < -10
    assert max(sound.silence) <= 0.2


@pytest.mark.parametrize("tag", ["es", "es-MX", "ES", "es_ES", "es-Latn-ES"])
def test_every_way_of_writing_a_language_finds_its_voice(hear: Hear, tag: str) -> None:
    assert hear(Pico(), "calle", tag).seconds == hear(Pico({"voice": "es-ES"}), "calle", "xx").seconds


@pytest.mark.parametrize(("tag", "voice"), [("en", "en-US"), ("en-AU", "en-US"), ("en_GB", "en-GB")])
def test_english_is_american_unless_it_is_said_to_be_british(hear: Hear, tag: str, voice: str) -> None:
    other = {"en-US": "en-GB", "en-GB": "en-US"}[voice]
    spoken = hear(Pico(), "tomato", tag).seconds
    assert spoken == hear(Pico({"voice": voice}), "tomato", "en").seconds
    assert spoken != hear(Pico({"voice": other}), "tomato", "en").seconds


def test_a_language_without_a_voice_is_not_found(say: Say) -> None:
    failure = say(Pico(), "хлеб", "ru").failure
    assert isinstance(failure, NotFoundError)
    assert "'ru'" in failure.message


@pytest.mark.parametrize("word", ["привет", "日本", "house 日本", "Łódź", "...", "😀", "<>"])
def test_what_pico_would_pass_over_in_silence_is_not_found(say: Say, word: str) -> None:
    assert isinstance(say(Pico(), word, "en").failure, NotFoundError)


@pytest.mark.parametrize("word", ["x" * 101, "cat " + "é" * 149, "x" * 10_000])
def test_a_word_without_end_is_refused_since_pico_may_never_come_back(say: Say, word: str) -> None:
    assert isinstance(say(Pico(), word, "en").failure, NotFoundError)


def test_the_longest_of_real_words_is_spoken(hear: Hear) -> None:
    word = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
    assert 4 < hear(Pico(), word, "de").seconds < 10


def test_long_text_is_spoken(hear: Hear) -> None:
    assert 30 < hear(Pico(), "the cat and the dog " * 50, "en").seconds < 150


@pytest.mark.parametrize("word", ["naïve", "123", "cat & dog", "50 %", "a\x00b", "two\nlines", "«cat»"])
def test_other_writing_is_spoken(hear: Hear, word: str) -> None:
    assert hear(Pico(), word, "en").seconds > 0.2


def test_an_accent_that_is_a_character_of_its_own_makes_no_difference(hear: Hear) -> None:
    assert hear(Pico(), "n\u0303andu\u0301", "es").seconds == hear(Pico(), "ñandú", "es").seconds


def test_markup_in_a_word_writes_no_file(say: Say, tmp_path: Path) -> None:
    target = tmp_path / "planted.wav"
    say(Pico(), f'<genfile file="{target}">cat</genfile>', "en")
    assert not target.exists()


def test_markup_in_a_word_does_not_change_how_it_is_spoken(hear: Hear) -> None:
    quiet = hear(Pico(), '<volume level="1">cat</volume>', "en")
    assert quiet.decibels > -25


def test_settings_change_what_is_heard(hear: Hear) -> None:
    plain = hear(Pico(), "water", "en")
    assert hear(Pico({"speed": 0.5}), "water", "en").seconds > plain.seconds * 1.3
    assert hear(Pico({"volume": 0.2}), "water", "en").decibels < plain.decibels - 4
    assert hear(Pico({"pitch": 1.5}), "water", "en").samples != plain.samples


@pytest.mark.parametrize(
    "settings", [{"volume": 6}, {"speed": 0}, {"pitch": 3}, {"voice": "ru-RU"}, {"speed": "fast"}]
)
def test_a_setting_outside_its_limits_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError) as caught:
        Pico(settings)
    assert caught.value.key == next(iter(settings))


def test_the_same_word_lasts_as_long_every_time(hear: Hear) -> None:
    # Not the same bytes: Pico starts on memory that it does not clear.
    assert len({hear(Pico(), "house", "en").seconds for _ in range(5)}) == 1


def test_several_threads_may_share_one_provider(tmp_path: Path) -> None:
    provider = Pico()
    words = [word for language, word in WORDS if language == "en"] * 10

    def seconds(numbered: tuple[int, str]) -> float:
        number, word = numbered
        result = provider.generate_audio(word, tmp_path / f"{number}.mp3", language="en")
        return float(result.metadata["seconds"])

    alone = [seconds(numbered) for numbered in enumerate(words)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(seconds, enumerate(words))) == alone


def test_a_missing_package_says_what_to_install(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py_nanotts", None)
    failure = say(Pico(), "house", "en").failure
    assert isinstance(failure, MissingDependencyError)
    assert "py-nanotts" in failure.message
    assert failure.hint == 'pip install "deckwright[offline]"'


def test_on_macos_the_other_synthesiser_is_named(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py_nanotts", None)
    monkeypatch.setattr(sys, "platform", "darwin")
    failure = say(Pico(), "house", "en").failure
    assert isinstance(failure, MissingDependencyError)
    assert "macOS" in failure.message
    assert "espeak" in (failure.hint or "")


def test_a_place_too_deep_for_pico_is_said_to_be_so(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("py_nanotts._default_lingware_path", lambda: "/" + "deep/" * 60)
    failure = say(Pico(), "house", "en").failure
    assert isinstance(failure, MissingDependencyError)
    assert "shorter path" in (failure.hint or "")


def test_only_its_own_type_and_name_are_made() -> None:
    assert isinstance(pico.register_media_provider("audio", "pico", {}), Pico)
    assert pico.register_media_provider("image", "pico", {}) is None
    assert pico.register_media_provider("audio", "espeak", {}) is None


def test_it_describes_what_it_makes() -> None:
    (info,) = pico.describe_media_providers()
    assert isinstance(pico.register_media_provider(info.type, info.name, {}), Pico)
    assert info.config_class is Pico.config_class


def test_neither_importing_nor_making_it_loads_the_synthesiser() -> None:
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from deckwright_builtins.pico import Pico\n"
        "Pico({'volume': 0.4})\n"
        "print({'py_nanotts', 'lameenc'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
