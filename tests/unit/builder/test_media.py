"""Media: each word's sound and picture, from the first provider of the pipeline that has one."""

from __future__ import annotations

import errno
import re
import shutil
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from deckwright import (
    AuthenticationError,
    BadMediaError,
    BuildError,
    MediaRequest,
    MediaResult,
    MissingDependencyError,
    NotFoundError,
    Progress,
    ProviderError,
    QuotaError,
    RateLimitedError,
    SyncProvider,
    SyncResult,
    TransientError,
    build_deck,
    hookimpl,
)

Build = Callable[..., Any]


def sound_of(request: MediaRequest) -> bytes:
    return f"ID3 {request.content} spoken".encode()


def picture_of(request: MediaRequest) -> bytes:
    return f"GIF89a {request.content} drawn;".encode()


def refuse(error: Exception) -> Callable[[MediaRequest], bytes]:
    def make(request: MediaRequest) -> bytes:
        raise error

    return make


def test_each_word_has_its_own_sound_and_picture(build: Build, fake_provider: Any) -> None:
    built = build(
        ["uno", "dos"], audio={"voice": fake_provider(sound_of)}, image={"artist": fake_provider(picture_of)}
    )

    for word, sound, image in zip(["uno", "dos"], built.field("Sound"), built.field("Picture"), strict=True):
        name = sound.removeprefix("[sound:").removesuffix("]")
        assert built.files[name] == f"ID3 {word} spoken".encode()
        assert built.files[image.split('"')[1]] == f"GIF89a {word} drawn;".encode()
    assert built.report.delivered == {"sounds": (2, 2), "pictures": (2, 2)}
    assert built.report.missing == ()


def test_a_provider_gets_what_is_known_of_the_word(build: Build, fake_provider: Any) -> None:
    voice = fake_provider(sound_of)
    build([{"word": "犬", "reading": "いぬ", "translation": "dog"}, "猫"], audio={"v": voice}, language="ja")
    first, second = voice.requests
    assert (first.type, first.content) == ("audio", "犬")
    assert first.params == {"language": "ja", "reading": "いぬ", "translation": "dog"}
    assert second.params == {"language": "ja"}
    assert first.output_path.suffix == ".mp3"


def test_the_same_content_is_one_file(build: Build, fake_provider: Any) -> None:
    built = build(["uno", "dos"], audio={"voice": fake_provider(lambda request: b"ID3 beep")})
    assert list(built.files.values()) == [b"ID3 beep"]
    assert len(set(built.field("Sound"))) == 1


def test_the_name_of_a_file_is_the_same_in_every_build(build: Build, fake_provider: Any) -> None:
    first, second = (build(["uno"], audio={"voice": fake_provider(sound_of)}) for _ in range(2))
    assert first.files == second.files


def test_a_provider_may_deliver_another_kind_of_file(build: Build, fake_provider: Any) -> None:
    def draw(request: MediaRequest) -> MediaResult:
        path = request.output_path.with_suffix(".SVG")
        path.write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
        return MediaResult(True, path)

    built = build(["uno"], image={"artist": fake_provider(draw)})
    assert [Path(name).suffix for name in built.files] == [".svg"]


def test_a_file_of_the_providers_own_stays_where_it_is(
    build: Build, fake_provider: Any, tmp_path: Path
) -> None:
    cached = tmp_path / "cached.mp3"
    cached.write_bytes(b"ID3 kept")
    built = build(["uno", "dos"], audio={"voice": fake_provider(lambda request: MediaResult(True, cached))})
    assert cached.read_bytes() == b"ID3 kept"
    assert built.report.delivered == {"sounds": (2, 2)}


def test_credit_is_given_on_the_card_and_in_the_deck(build: Build, fake_provider: Any) -> None:
    def draw(request: MediaRequest) -> MediaResult:
        request.output_path.write_bytes(picture_of(request))
        return MediaResult(True, request.output_path, {"attribution": "Ann & Bob, CC BY"})

    built = build(["uno", "dos"], image={"artist": fake_provider(draw)})
    assert built.field("Credit") == ["Ann &amp; Bob, CC BY"] * 2
    assert built.deck.description == "2 words, made with Deckwright.<br>Ann &amp; Bob, CC BY"


class TestWhenAProviderFails:
    def test_the_next_one_is_asked(self, build: Build, fake_provider: Any) -> None:
        first, second = fake_provider(refuse(NotFoundError("no such word"))), fake_provider(sound_of)
        built = build(["uno", "dos"], audio={"first": first, "second": second})
        assert built.report.delivered == {"sounds": (2, 2)}
        assert len(first.requests) == 2

    def test_one_that_delivers_spares_the_next(self, build: Build, fake_provider: Any) -> None:
        second = fake_provider(sound_of)
        build(["uno"], audio={"first": fake_provider(sound_of), "second": second})
        assert second.requests == []

    def test_the_deck_is_built_and_the_report_says_why(self, build: Build, fake_provider: Any) -> None:
        silent = {
            "a": fake_provider(refuse(NotFoundError("no a"))),
            "b": fake_provider(refuse(TransientError("b is down"))),
        }
        built = build(["uno"], audio=silent, image={"artist": fake_provider(picture_of)})
        [missing] = built.report.missing
        assert missing.word.text == "uno"
        assert missing.kind.type == "audio"
        assert {name: str(reason) for name, reason in missing.reasons.items()} == {
            "a": "no a",
            "b": "b is down",
        }
        assert built.field("Sound") == [""]
        assert built.field("Picture") != [""]

    @pytest.mark.parametrize(
        "error",
        [AuthenticationError("bad key"), QuotaError("spent"), MissingDependencyError("not installed")],
    )
    def test_one_that_is_out_for_the_run_is_not_asked_again(
        self, build: Build, fake_provider: Any, error: Exception
    ) -> None:
        voice = fake_provider(refuse(error))
        built = build(["uno", "dos", "tres"], audio={"voice": voice})
        assert len(voice.requests) == 1
        assert [missing.reasons["voice"] for missing in built.report.missing] == [error] * 3

    def test_a_service_that_is_down_is_not_asked_for_ever(self, build: Build, fake_provider: Any) -> None:
        down, voice = fake_provider(refuse(TransientError("down"))), fake_provider(sound_of)
        built = build(["uno", "dos", "tres", "cuatro", "cinco"], audio={"down": down, "voice": voice})
        assert len(down.requests) == 3
        assert built.report.delivered == {"sounds": (5, 5)}
        assert tuple(map(str, built.report.problems)) == ("audio.down: was disabled: down",)

    def test_one_that_stumbles_now_and_then_goes_on(self, build: Build, fake_provider: Any) -> None:
        def stumble(request: MediaRequest) -> bytes:
            if request.content in ("uno", "dos", "cuatro", "cinco"):
                raise TransientError("busy")
            return sound_of(request)

        voice = fake_provider(stumble)
        build(["uno", "dos", "tres", "cuatro", "cinco", "seis"], audio={"voice": voice})
        assert len(voice.requests) == 6

    def test_the_report_says_who_delivered_and_who_was_given_up(
        self, build: Build, fake_provider: Any
    ) -> None:
        def only_uno(request: MediaRequest) -> bytes:
            if request.content == "uno":
                return sound_of(request)
            raise QuotaError("spent", hint="Tomorrow.")

        built = build(
            ["uno", "dos", "tres"],
            audio={"first": fake_provider(only_uno), "second": fake_provider(sound_of)},
        )
        assert built.report.sources == {"sounds": {"first": 1, "second": 2}}
        assert built.report.failed == ()
        assert tuple(map(str, built.report.problems)) == ("audio.first: was disabled: spent\n  Tomorrow.",)

    @pytest.mark.parametrize(
        "error", [NotFoundError("no"), RateLimitedError("slow"), ZeroDivisionError("oh")]
    )
    def test_any_other_is_asked_for_every_word(
        self, build: Build, fake_provider: Any, error: Exception
    ) -> None:
        voice = fake_provider(refuse(error))
        build(["uno", "dos"], audio={"voice": voice})
        assert len(voice.requests) == 2

    @pytest.mark.parametrize(
        ("made", "reason"),
        [
            (b"", "empty"),
            (b"<!doctype html><p>Sold out", "an HTML page"),
            (b'["Limit/day reached."]', "JSON"),
            (b"GIF89a;", "a gif file"),
            (MediaResult(True, Path("nowhere.mp3")), "there is none"),
            (MediaResult(True), "there is none"),
            (MediaResult(False), "no reason given"),
            (MediaResult(False, error="tired"), "tired"),
            (None, "NoneType"),
        ],
    )
    def test_what_is_no_file_is_not_taken_for_one(
        self, build: Build, fake_provider: Any, made: object, reason: str
    ) -> None:
        built = build(
            ["uno"], audio={"voice": fake_provider(lambda request: made), "next": fake_provider(sound_of)}
        )
        assert built.report.delivered == {"sounds": (1, 1)}
        built = build(["uno"], audio={"voice": fake_provider(lambda request: made)})
        assert reason in str(built.report.missing[0].reasons["voice"])

    def test_one_that_breaks_the_contract_and_raises_is_one_that_failed(
        self, build: Build, fake_provider: Any
    ) -> None:
        class Rude(fake_provider):  # type: ignore[misc]
            def generate_media(self, request: MediaRequest) -> MediaResult:
                raise OSError("the disk is full")

        built = build(["uno"], audio={"rude": Rude(sound_of)})
        assert "the disk is full" in str(built.report.missing[0].reasons["rude"])


def test_what_a_providers_code_does_wrong_is_reported_even_where_another_steps_in(
    build: Build, fake_provider: Any
) -> None:
    def crash(request: MediaRequest) -> bytes:
        raise LookupError(f"lost {request.content}")

    providers = {
        "odd": fake_provider(crash),
        "none": fake_provider(refuse(NotFoundError("no"))),
        "voice": fake_provider(sound_of),
    }
    built = build(["gato", "perro"], providers)
    [problem] = map(str, built.report.problems)
    assert problem.startswith("audio.odd: failed 2 times, first: LookupError: lost gato\n  Raised at ")
    # Where a missing file shows it, it is reported there.
    assert build(["gato"], {"odd": fake_provider(crash)}).report.problems == ()


@pytest.mark.parametrize(
    "said", [MediaResult(False, error="not in my dictionary"), ProviderError("not today")]
)
def test_what_a_provider_says_on_purpose_is_no_fault_of_its_code(
    build: Build, fake_provider: Any, said: Any
) -> None:
    def answer(request: MediaRequest) -> MediaResult:
        if isinstance(said, Exception):
            raise said from KeyError("what it came of")
        return said

    built = build(["gato"], {"dictionary": fake_provider(answer), "voice": fake_provider(sound_of)})
    assert built.report.problems == ()
    assert built.report.sources == {"sounds": {"voice": 1}}


def test_a_provider_that_never_comes_back_is_left_behind_and_asked_no_more(
    build: Build, fake_provider: Any
) -> None:
    asked: list[str] = []
    free = threading.Event()

    def hang(request: MediaRequest) -> bytes:
        asked.append(request.content)
        free.wait()
        # What comes late must not pass for the work of another.
        return b"ID3 too late"

    built = build(
        ["gato", "perro"],
        {"stuck": fake_provider(hang), "voice": fake_provider(sound_of)},
        config={"plugins": {"time_limit": 0.01}},
    )
    free.set()
    assert asked == ["gato"]
    assert built.report.sources == {"sounds": {"voice": 2}}
    assert b"ID3 too late" not in built.files.values()
    assert "took longer than 0.2 s" in "".join(map(str, built.report.problems))


class TestWhatCountsAsFailed:
    def test_a_word_without_a_sound_does(self, build: Build, fake_provider: Any) -> None:
        built = build(["uno"], audio={"voice": fake_provider(refuse(NotFoundError("none")))})
        assert built.report.failed == built.report.missing != ()

    def test_a_word_that_no_provider_has_a_picture_of_does_not(
        self, build: Build, fake_provider: Any
    ) -> None:
        built = build(["uno"], image={"artist": fake_provider(refuse(NotFoundError("none")))})
        assert built.report.missing != ()
        assert built.report.failed == ()

    @pytest.mark.parametrize("error", [BadMediaError("torn"), MissingDependencyError("not installed")])
    def test_a_picture_that_went_wrong_does(self, build: Build, fake_provider: Any, error: Exception) -> None:
        built = build(["uno"], image={"artist": fake_provider(refuse(error))})
        assert built.report.failed == built.report.missing != ()

    def test_what_no_provider_is_configured_for_is_not_even_missing(self, build: Build) -> None:
        built = build(["uno"])
        assert (built.report.delivered, built.report.missing) == ({}, ())


def test_only_the_providers_of_the_pipeline_are_asked(build: Build, fake_provider: Any) -> None:
    voices = {name: fake_provider(sound_of) for name in ("words", "verbs")}
    pipelines = {"words": ["vocabulary", "exam"], "verbs": ["conjugation"], "target": ["*"]}
    config = {
        "providers": {
            "audio": {name: {"pipelines": pipelines[name]} for name in voices},
            "sync": {"target": {"pipelines": ["*"]}},
        }
    }

    def asked(**options: Any) -> list[int]:
        for voice in voices.values():
            voice.requests.clear()
        build(["uno"], audio=voices, **options)
        return [len(voice.requests) for voice in voices.values()]

    assert asked(config=config) == [1, 0]
    assert asked(config=config, pipeline="conjugation") == [0, 1]
    assert asked(config={**config, "build": {"pipeline": "conjugation"}}) == [0, 1]


def test_observers_see_the_outcome_of_each_request(build: Build, fake_provider: Any) -> None:
    def only_one(request: MediaRequest) -> bytes:
        if request.content != "uno":
            raise NotFoundError("only one")
        return b"ID3 sound"

    first = fake_provider(refuse(NotFoundError("never")))
    built = build(["uno", "dos"], audio={"first": first, "second": fake_provider(only_one)})
    assert sorted((request.content, result.success, result.error) for request, result in built.seen) == [
        ("dos", False, "only one"),
        ("uno", True, None),
    ]


def test_progress_is_reported_from_nothing_to_all(build: Build, fake_provider: Any) -> None:
    steps: list[Progress] = []
    built = build(["uno", "dos"], audio={"voice": fake_provider(sound_of)}, progress=steps.append)
    assert [step for step in steps if step.stage == "sounds"] == [
        Progress("sounds", done, 2) for done in range(3)
    ]
    assert steps[-1] == Progress("deck", 1, 1)
    assert set(built.report.seconds) == {"sounds", "deck"}


def test_a_program_can_take_the_report_apart(build: Build, fake_provider: Any) -> None:
    report = build(["uno"], audio={"voice": fake_provider(refuse(NotFoundError("none")))}).report
    assert attrs.asdict(report)["words"] == 1


@pytest.mark.parametrize(
    "result",
    [
        None,
        MediaResult(False, error=7),  # type: ignore[arg-type]
        MediaResult(False, failure=ValueError("no")),  # type: ignore[arg-type]
    ],
)
def test_a_result_that_is_none_ends_nothing(build: Build, fake_provider: Any, result: Any) -> None:
    odd = fake_provider(sound_of)
    odd.generate_media = lambda request: result
    built = build(["uno"], audio={"odd": odd, "voice": fake_provider(sound_of)})
    assert built.report.delivered["sounds"] == (1, 1)


def test_what_media_cost_is_added_up(build: Build, fake_provider: Any) -> None:
    def paint(request: MediaRequest) -> MediaResult:
        request.output_path.write_bytes(picture_of(request))
        return MediaResult(True, request.output_path, {"cost": 0.25})

    built = build(
        ["uno", "dos"], audio={"voice": fake_provider(sound_of)}, image={"artist": fake_provider(paint)}
    )
    assert built.report.cost == 0.5


def test_a_type_that_the_pipeline_sees_nothing_of_is_a_warning(build: Build, fake_provider: Any) -> None:
    providers = {
        "audio": {"voice": {"pipelines": ["vocabluary"]}},
        "sync": {"target": {"pipelines": ["*"]}},
    }
    built = build(["uno"], audio={"voice": fake_provider(sound_of)}, config={"providers": providers})
    assert tuple(map(str, built.report.warnings)) == (
        "The pipeline 'vocabulary' has no provider of the type audio: voice is open to vocabluary.",
    )


class TestWhereTheDeckGoes:
    """A deck has somewhere to go before it costs anything, and is not lost when that fails in the end."""

    def building(self, targets: dict[str, SyncProvider], fake_provider: Any) -> tuple[Any, Any]:
        voice = fake_provider(sound_of)

        class Plugin:
            @hookimpl
            def register_media_provider(self, type: str, name: str) -> Any:
                return voice if type == "audio" else targets.get(name)

        providers = {
            "audio": {"voice": {"pipelines": ["*"]}},
            "sync": {name: {"pipelines": ["*"]} for name in targets},
        }
        return voice, lambda: build_deck(
            ["uno"], language="es", config={"providers": providers}, plugins=[Plugin()]
        )

    def test_nothing_is_made_when_it_has_nowhere_to_go(self, fake_provider: Any) -> None:
        voice, build = self.building(
            {"away": Place(reachable=False), "broken": Place(reachable=None)}, fake_provider
        )
        with pytest.raises(BuildError) as caught:
            build()
        assert voice.requests == []
        assert str(caught.value).splitlines() == [
            "The deck cannot be written anywhere, so nothing was generated.",
            "away: it cannot be reached",
            f"broken: ZeroDivisionError: division by zero, at {__file__}:{LINE_OF_FAULT}",
        ]

    def test_so_it_is_of_a_place_that_writes_a_file_and_cannot(
        self, fake_provider: Any, tmp_path: Path
    ) -> None:
        away = Place(reachable=False)
        away.destination = lambda deck, output=None: tmp_path / "deck.txt"  # type: ignore[method-assign]
        voice, build = self.building({"away": away}, fake_provider)
        with pytest.raises(BuildError, match="away: it cannot be reached"):
            build()
        assert voice.requests == []

    def test_a_file_that_it_only_says_it_wrote_is_none(
        self, fake_provider: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        liar = Place()
        liar.sync_deck = lambda deck: SyncResult(True, 1, {"path": "nowhere.txt"})  # type: ignore[method-assign]
        _, build = self.building({"liar": liar}, fake_provider)
        with pytest.raises(BuildError, match=r"\(liar\): it reported writing nowhere.txt, but"):
            build()
        assert list(tmp_path.glob("deckwright-*.apkg"))

    def test_where_its_code_failed_is_reported(
        self, fake_provider: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        place = Place()
        place._sync_cards_impl = lambda cards: {}["Translatoin"]  # type: ignore[method-assign]
        _, build = self.building({"txt": place}, fake_provider)
        with pytest.raises(
            BuildError, match=rf"\(txt\): KeyError: 'Translatoin' \(raised at {re.escape(__file__)}:\d+"
        ):
            build()

    def test_what_sticks_when_it_is_closed_is_in_the_report(self, fake_provider: Any) -> None:
        place = Place()
        place.close = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        _, build = self.building({"target": place}, fake_provider)
        [problem] = map(str, build().problems)
        assert problem.startswith("providers.sync.target: could not be closed: ZeroDivisionError")

    def test_one_place_is_enough(self, fake_provider: Any) -> None:
        _, build = self.building(
            {"away": Place(reachable=False, takes=False), "here": Place()}, fake_provider
        )
        report = build()
        assert list(report.outputs) == ["here"]
        assert tuple(map(str, report.problems)) == ("The deck could not be written (away): full",)

    def test_the_file_that_was_asked_for_is_what_matters(
        self, build: Build, fake_provider: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        voice = fake_provider(sound_of)
        providers = {
            "audio": {"voice": {"pipelines": ["*"]}},
            "sync": {"apkg": {"pipelines": ["*"], "path": "nowhere/deck.apkg"}},
        }
        config = {"providers": providers}
        with pytest.raises(BuildError, match=r"nowhere.deck.apkg cannot be written"):
            build(["uno"], audio={"voice": voice}, config=config)
        assert voice.requests == []
        with pytest.raises(AttributeError):  # this test's own place for decks gets none
            build(["uno"], audio={"voice": voice}, config=config, output=tmp_path / "deck.apkg")
        assert zipfile.is_zipfile(tmp_path / "deck.apkg")

    def test_a_deck_that_was_taken_in_part_is_delivered_with_a_problem(self, fake_provider: Any) -> None:
        _, build = self.building({"small": Place(takes=False, holds=1)}, fake_provider)
        report = build()
        assert list(report.outputs) == ["small"]
        assert tuple(map(str, report.problems)) == ("The deck could only be written in part (small): full",)

    def test_without_a_way_to_write_it_its_media_are_saved(
        self, fake_provider: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        monkeypatch.setitem(sys.modules, "genanki", None)
        _, build = self.building({"full": Place(takes=False)}, fake_provider)
        with pytest.raises(BuildError, match="full") as caught:
            build()
        [kept] = tmp_path.glob("deckwright-saved-*/*.mp3")
        assert kept.read_bytes() == b"ID3 uno spoken"
        assert str(kept.parent) in str(caught.value.hint)

    def test_where_nothing_can_be_saved_both_errors_are_reported(
        self, fake_provider: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*files: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        monkeypatch.setitem(sys.modules, "genanki", None)
        monkeypatch.setattr(shutil, "copy", full)
        _, build = self.building({"full": Place(takes=False)}, fake_provider)
        with pytest.raises(BuildError) as caught:
            build()
        assert str(caught.value).splitlines() == [
            "The deck could not be written (full): full",
            "It could not be saved either: No space left on device.",
        ]

    @pytest.mark.parametrize("cost", ["n/a", float("nan"), {}, None])
    def test_an_odd_cost_ends_nothing(self, build: Build, fake_provider: Any, cost: Any) -> None:
        def paint(request: MediaRequest) -> MediaResult:
            request.output_path.write_bytes(sound_of(request))
            return MediaResult(True, request.output_path, {"cost": cost})

        built = build(["uno"], audio={"voice": fake_provider(paint)})
        assert (built.report.delivered["sounds"], built.report.cost) == ((1, 1), 0.0)

    def test_a_deck_that_nobody_takes_is_saved(
        self, fake_provider: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        _, build = self.building({"full": Place(takes=False)}, fake_provider)
        with pytest.raises(BuildError, match=r"The deck could not be written \(full\): full") as caught:
            build()
        [kept] = tmp_path.glob("deckwright-*.apkg")
        assert str(kept) in str(caught.value.hint)
        assert zipfile.is_zipfile(kept)


class Place(SyncProvider):
    def __init__(self, *, reachable: bool | None = True, takes: bool = True, holds: int = 0) -> None:
        super().__init__()
        self.reachable, self.takes, self.holds = reachable, takes, holds

    def _test_connection_impl(self) -> bool:
        return bool(1 / 0) if self.reachable is None else self.reachable

    def _sync_cards_impl(self, cards: list[dict[str, Any]]) -> SyncResult:
        if self.takes:
            return SyncResult(True, len(cards))
        return SyncResult(False, self.holds, error_message="full")


LINE_OF_FAULT = (
    Path(__file__)
    .read_text(encoding="utf-8")
    .splitlines()
    .index("        return bool(1 / 0) if self.reachable is None else self.reachable")
    + 1
)
