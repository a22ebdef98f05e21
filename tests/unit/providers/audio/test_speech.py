from __future__ import annotations

import array
import math
import sys
from pathlib import Path

import miniaudio
import pytest

from deckwright import InvalidRequestError, MediaRequest, MissingDependencyError, NotFoundError
from deckwright.toolkit.speech import Pcm, SpeechProvider, clean_text, encode_mp3, trim_silence

RATE = 16_000


def tone(seconds: float, before: float = 0.0, after: float = 0.0) -> Pcm:
    beep = [int(20_000 * math.sin(2 * math.pi * 440 * i / RATE)) for i in range(int(seconds * RATE))]
    samples = array.array("h", [0] * int(before * RATE) + beep + [0] * int(after * RATE))
    if sys.byteorder == "big":
        samples.byteswap()
    return Pcm(samples.tobytes(), RATE)


class Beeper(SpeechProvider):
    """Records what it is asked to say, and beeps."""

    def _setup_from_config(self) -> None:
        self.said: list[tuple[str, str]] = []

    def _synthesize(self, text: str, language: str) -> Pcm:
        self.said.append((text, language))
        return tone(0.5, before=0.3, after=0.4)


def test_silence_at_both_ends_is_cut_to_a_breath() -> None:
    assert trim_silence(tone(0.5, before=1.0, after=2.0)).seconds == pytest.approx(0.66, abs=0.01)


def test_sound_without_silence_is_left_whole() -> None:
    pcm = tone(0.5)
    assert trim_silence(pcm) == pcm


def test_silence_between_sounds_is_kept() -> None:
    pcm = Pcm(tone(0.2).samples + tone(0.2, before=1.0).samples, RATE)
    assert trim_silence(pcm).seconds == pytest.approx(1.4, abs=0.01)


@pytest.mark.parametrize("samples", [b"", bytes(RATE)], ids=["nothing", "half a second of silence"])
def test_nothing_but_silence_is_not_a_sound(samples: bytes) -> None:
    with pytest.raises(NotFoundError):
        trim_silence(Pcm(samples, RATE))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  the\n cat\t", "the cat"),
        ("a\x00b", "a b"),
        ("n\u0303andu\u0301", "ñandú"),
        ("cat\ud83d", "cat"),
        ("日本", "日本"),
        ("\x00\n", ""),
    ],
)
def test_text_is_cleaned_of_what_synthesisers_stumble_over(text: str, clean: str) -> None:
    assert clean_text(text) == clean


def test_the_same_samples_give_the_same_mp3() -> None:
    assert encode_mp3(tone(0.3)) == encode_mp3(tone(0.3))


def test_an_mp3_decodes_to_the_length_and_loudness_that_went_in() -> None:
    decoded = miniaudio.decode(encode_mp3(tone(0.5)), nchannels=1, sample_rate=RATE)
    assert decoded.num_frames / RATE == pytest.approx(0.5, abs=0.15)
    assert max(decoded.samples) == pytest.approx(20_000, rel=0.1)


def test_a_missing_encoder_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lameenc", None)
    with pytest.raises(MissingDependencyError) as caught:
        encode_mp3(tone(0.1))
    assert caught.value.hint == 'pip install "deckwright[offline]"'


def test_a_synthesiser_gets_clean_text_and_a_plain_tag(tmp_path: Path) -> None:
    provider = Beeper()
    result = provider.generate_audio(" the\ncat ", tmp_path / "a.mp3", language="EN_gb")
    assert result.success
    assert provider.said == [("the cat", "en-gb")]
    assert result.metadata["seconds"] == pytest.approx(0.66, abs=0.01)


@pytest.mark.parametrize(
    "request_",
    [
        MediaRequest("audio", "cat", {"language": "en"}),
        MediaRequest("audio", "cat", {}, Path("cat.mp3")),
        MediaRequest("audio", "\x00", {"language": "en"}, Path("cat.mp3")),
    ],
    ids=["no file", "no language", "no text"],
)
def test_a_request_that_cannot_be_spoken_is_refused(request_: MediaRequest) -> None:
    provider = Beeper()
    result = provider.generate_media(request_)
    assert isinstance(result.failure, InvalidRequestError)
    assert provider.said == []
