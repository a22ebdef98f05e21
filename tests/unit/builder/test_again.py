"""A build made again: what it asks for anew, and what it takes as it was kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from workshop import PLUGIN, Workshop, picture, refusing, sound

from deckwright import (
    ContentPolicyError,
    NotFoundError,
    ProviderError,
    ProviderRegistry,
    QuotaError,
    Traits,
    TransientError,
)
from deckwright.builder.deck import run_plan
from deckwright.builder.plan import make_plan
from deckwright.testing.servers import ForvoServer

WORDS = [{"word": "pan", "translation": "bread"}, {"word": "vino", "translation": "wine"}]
DAY = 24 * 3600


def test_nobody_is_asked_twice(workshop: Workshop) -> None:
    voice, artist = workshop.voice(), workshop.artist()
    first = workshop.build(WORDS)
    assert (voice.asked(), artist.asked()) == (["pan", "vino"], ["pan", "vino"])
    files = workshop.files
    again = workshop.build(WORDS)
    assert (voice.asked(), artist.asked()) == ([], [])
    assert workshop.files == files
    assert (first.cached, again.cached) == ({"sounds": 0, "pictures": 0}, {"sounds": 2, "pictures": 2})
    assert (first.sources, first.delivered) == (again.sources, again.delivered)


def test_what_is_kept_serves_another_deck(workshop: Workshop) -> None:
    voice = workshop.voice()
    workshop.build(WORDS, deck="One")
    assert workshop.build(WORDS, deck="Other").cached == {"sounds": 2}
    assert voice.asked() == ["pan", "vino"]


def test_a_new_word_is_asked_for_alone(workshop: Workshop) -> None:
    voice = workshop.voice()
    workshop.build(WORDS)
    voice.asked()
    report = workshop.build([*WORDS, "sal"])
    assert voice.asked() == ["sal"]
    assert report.cached == {"sounds": 2}


def test_a_setting_that_changes_what_is_made_has_it_made_anew_and_only_there(workshop: Workshop) -> None:
    voice, artist = workshop.voice(), workshop.artist()
    workshop.build(WORDS)
    voice.settings["voice"] = "bob"
    voice.asked(), artist.asked()
    workshop.build(WORDS)
    assert (voice.asked(), artist.asked()) == (["pan", "vino"], [])
    assert b"ID3 pan by bob" in workshop.files.values()
    # What the former voice said is kept beside it.
    del voice.settings["voice"]
    workshop.build(WORDS)
    assert voice.asked() == []
    assert b"ID3 pan by ana" in workshop.files.values()


@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": "another-key"},
        {"timeout": 7.0},
        {"cost_limits": {"daily_limit_usd": 1.0}},
        {"pipelines": ["vocabulary"]},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_a_setting_that_changes_nothing_of_it_does_not(workshop: Workshop, settings: dict[str, Any]) -> None:
    voice = workshop.voice()
    workshop.build(WORDS)
    voice.settings.update(settings)
    voice.asked()
    workshop.build(WORDS)
    assert voice.asked() == []


def test_another_provider_is_asked_for_all_and_the_former_one_need_not_be_there(workshop: Workshop) -> None:
    voice = workshop.voice()
    workshop.build(WORDS)
    voice.asked()
    other = workshop.voice("other", make=lambda request, settings: b"ID3 " + request.content.upper().encode())
    # Beside the first it is not asked for anything; alone it is.
    workshop.build(WORDS)
    assert (voice.asked(), other.asked()) == ([], [])
    config = workshop.config()
    del config["providers"]["audio"]["voice"]
    workshop.build(WORDS, config=config)
    assert (voice.asked(), other.asked()) == ([], ["pan", "vino"])
    assert workshop.build(WORDS).sources == {"sounds": {"voice": 2}}


def test_an_instance_of_another_name_is_the_same_provider(workshop: Workshop) -> None:
    voice = workshop.voice()
    workshop.build(WORDS)
    voice.asked()
    config = workshop.config()
    config["providers"]["audio"] = {"calm": {"type": "voice", "pipelines": ["*"]}}
    assert workshop.build(WORDS, config=config).sources == {"sounds": {"calm": 2}}
    assert voice.asked() == []


def test_a_file_that_somebody_deleted_is_made_again(workshop: Workshop) -> None:
    voice = workshop.voice()
    workshop.build(WORDS)
    files = workshop.files
    voice.asked()
    [deleted] = [file for file in workshop.store.rglob("*.mp3") if b"vino" in file.read_bytes()]
    deleted.unlink()
    report = workshop.build(WORDS)
    assert (voice.asked(), report.cached, workshop.files) == (["vino"], {"sounds": 1}, files)


# A changed translation: what each provider looks at


def test_by_default_all_that_is_known_of_a_word_counts(workshop: Workshop) -> None:
    artist = workshop.artist()
    workshop.build(WORDS)
    artist.asked()
    workshop.build([{"word": "pan", "translation": "loaf", "example": "El pan."}, WORDS[1]])
    assert artist.asked() == ["pan"]
    workshop.build([{**WORDS[0], "example": "Pan.", "tags": "food"}, WORDS[1]])
    assert artist.asked() == []


SPEAKER = """
from deckwright import hookimpl
from deckwright.toolkit.speech import Pcm, SpeechProvider, encode_mp3
import array, workshop

class Speaker(SpeechProvider):
    def _synthesize(self, text, language):
        workshop.DESKS["audio", "voice"].requests.append(workshop.MediaRequest("audio", text))
        return Pcm(array.array("h", [9000, -9000] * 2000).tobytes(), 16000)

@hookimpl
def register_media_provider(type, name, config):
    return Speaker(config) if (type, name) == ("audio", "speaker") else None
"""


def test_a_synthesiser_is_not_asked_again_for_a_new_translation(workshop: Workshop, tmp_path: Path) -> None:
    desk = workshop.voice()
    (tmp_path / "speaker.py").write_text(SPEAKER, encoding="utf-8")
    config = workshop.config(plugins={"paths": [str(workshop.plugin), str(tmp_path / "speaker.py")]})
    config["providers"]["audio"] = {"speaker": {"pipelines": ["*"]}}
    workshop.build(WORDS, config=config)
    assert desk.asked() == ["pan", "vino"]
    changed = [{**word, "translation": "changed", "reading": "same to a voice"} for word in WORDS]
    workshop.build(changed, config=config)
    assert desk.asked() == []
    workshop.build(changed, config=config, language="fr")
    assert desk.asked() == ["pan", "vino"]


@pytest.mark.parametrize(
    ("change", "more"),
    [
        ({"translation": "greeting"}, 0),
        ({"settings": {"timeout": 9.0, "max_concurrent": 1, "max_retries": 0}}, 0),
        ({"settings": {"api_key": "another-key"}}, 0),
        ({"settings": {"country_priorities": ["MX"]}}, 2),
        ({"deck": "Other"}, 2),
    ],
    ids=["translation", "way", "key", "speaker", "deck"],
)
def test_forvo_is_asked_for_a_word_once_for_each_deck(
    workshop: Workshop, change: dict[str, Any], more: int
) -> None:
    with ForvoServer() as server:

        def build(translation: str = "hello", deck: str = "One", settings: Any = ()) -> Any:
            known = {"pipelines": ["*"], "api_key": server.key, "base_url": server.base_url}
            config = workshop.config(providers={"audio": {"forvo": {**known, **dict(settings)}}})
            return workshop.build([{"word": "hola", "translation": translation}], deck=deck, config=config)

        assert build().delivered == {"sounds": (1, 1)}
        assert len(server.requests) == 2
        assert build(**change).delivered == {"sounds": (1, 1)}
        assert len(server.requests) == 2 + more


# Whose code has changed


def test_a_changed_plugin_file_is_asked_again_and_its_former_results_come_back_with_it(
    workshop: Workshop,
) -> None:
    voice = workshop.voice()
    workshop.build(WORDS)
    workshop.plugin.write_text(PLUGIN + "# better now\n", encoding="utf-8")
    voice.asked()
    workshop.build(WORDS)
    assert voice.asked() == ["pan", "vino"]
    workshop.plugin.write_text(PLUGIN, encoding="utf-8")
    workshop.build(WORDS)
    assert voice.asked() == []


@pytest.fixture
def update(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], None]]:
    """Installs the plugin as a distribution of a first version, and each time it is called the next one."""
    folder = tmp_path / "installed"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    versions = iter(range(1, 10))

    def update() -> None:
        version = next(versions)
        for old in folder.glob("*.dist-info"):
            old.rename(folder / f"old-{version}")
        info = folder / f"acme_staff-{version}.dist-info"
        info.mkdir()
        info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: acme-staff\nVersion: {version}\n")
        info.joinpath("entry_points.txt").write_text("[deckwright]\nacme_staff = acme_staff\n")
        (folder / "acme_staff.py").write_text(
            f"{PLUGIN}# version {version}{'0' * version}\n", encoding="utf-8"
        )
        sys.modules.pop("acme_staff", None)

    workshop.plugin.write_text("", encoding="utf-8")
    update()
    yield update
    sys.modules.pop("acme_staff", None)


@pytest.mark.parametrize(
    ("requests", "asked"), [(0, ["pan", "vino"]), (1, [])], ids=["costs nothing", "asks a service"]
)
def test_an_updated_package_is_asked_again_only_if_it_asks_no_service(
    workshop: Workshop, update: Callable[[], None], requests: int, asked: list[str]
) -> None:
    voice = workshop.voice(traits=Traits(requests_per_item=requests))
    config = workshop.config(plugins={"installed": True, "paths": []})
    workshop.build(WORDS, config=config)
    assert voice.asked() == ["pan", "vino"]
    workshop.build(WORDS, config=config)
    assert voice.asked() == []
    update()
    workshop.build(WORDS, config=config)
    assert voice.asked() == asked


def test_what_a_programs_own_objects_make_is_never_kept(workshop: Workshop) -> None:
    """Nobody can tell whether their code is still the same."""
    voice = workshop.voice()
    plugin = workshop.plugin.read_text(encoding="utf-8")
    workshop.plugin.write_text("", encoding="utf-8")
    module: Any = type(sys)("staff")
    exec(plugin, module.__dict__)
    for _ in range(2):
        report = workshop.build(WORDS, plugins=[module])
        assert (voice.asked(), report.cached) == (["pan", "vino"], {"sounds": 0})
        assert len(workshop.files) == 2
    assert list(workshop.store.rglob("*.mp3")) == []


@pytest.mark.parametrize("name", ["by hand", "voice"], ids=["beside the configured", "in place of it"])
def test_what_is_registered_by_hand_is_never_kept(workshop: Workshop, name: str) -> None:
    voice = workshop.voice()
    config = workshop.config()
    if name != "voice":
        config["providers"]["audio"]["voice"]["pipelines"] = ["another"]
    for _ in range(2):
        with ProviderRegistry.from_config(config) as registry:
            provider = registry.get("audio", "voice")
            registry.register_audio_provider(name, provider)
            report = run_plan(make_plan(WORDS, registry, language="es"), registry)
        assert (voice.asked(), report.cached) == (["pan", "vino"], {"sounds": 0})


# What may be used for one deck only


def test_what_is_for_one_deck_is_kept_for_that_and_asked_for_anew_for_another(workshop: Workshop) -> None:
    voice = workshop.voice(traits=Traits(cacheable=False))
    workshop.build(WORDS, deck="One")
    workshop.build(WORDS, deck="One")
    assert voice.asked() == ["pan", "vino"]
    workshop.build(WORDS, deck="Other")
    assert voice.asked() == ["pan", "vino"]
    for deck in ("One", "Other"):
        assert workshop.build(WORDS, deck=deck).cached == {"sounds": 2}
    assert voice.asked() == []


def test_so_is_a_refusal(workshop: Workshop) -> None:
    voice = workshop.voice(make=refusing(NotFoundError("no such word")), traits=Traits(cacheable=False))
    for deck in ("One", "One", "Other", "Other"):
        workshop.build(["pan"], deck=deck)
    assert voice.asked() == ["pan", "pan"]


# What was refused


class _MyOwnError(NotFoundError):
    pass


@pytest.mark.parametrize("error", [NotFoundError, ContentPolicyError, _MyOwnError])
def test_a_refusal_is_remembered_for_30_days(workshop: Workshop, error: type[ProviderError]) -> None:
    voice = workshop.voice(make=refusing(error("not that", hint="Take another."), "pan"))
    first = workshop.build(WORDS)
    voice.asked()
    again = workshop.build(WORDS)
    assert voice.asked() == []
    for report in (first, again):
        [missing] = report.failed
        assert str(missing.reasons["voice"]) == "not that\n  Take another."
        assert isinstance(missing.reasons["voice"], error.__mro__[error is _MyOwnError])
    workshop.query("UPDATE refusals SET at = at - ?", 29 * DAY)
    workshop.build(WORDS)
    assert voice.asked() == []
    workshop.query("UPDATE refusals SET at = at - ?", DAY)
    workshop.build(WORDS)
    assert voice.asked() == ["pan"]
    # And then for 30 days more.
    workshop.build(WORDS)
    assert voice.asked() == []


@pytest.mark.parametrize(
    "error",
    [TransientError("down"), QuotaError("spent"), ProviderError("not today"), KeyError("oh"), OSError("no")],
    ids=lambda error: type(error).__name__,
)
def test_any_other_failure_is_not(workshop: Workshop, error: Exception) -> None:
    voice = workshop.voice(make=refusing(error, "pan"))
    workshop.build(WORDS[:1])
    voice.asked()
    voice.make = sound
    assert workshop.build(WORDS[:1]).delivered == {"sounds": (1, 1)}
    assert voice.asked() == ["pan"]


def test_what_fails_is_asked_for_again_and_what_was_made_is_not(workshop: Workshop) -> None:
    voice = workshop.voice(make=refusing(TransientError("down"), "vino"))
    assert workshop.build(WORDS).delivered == {"sounds": (1, 2)}
    voice.asked()
    voice.make = sound
    assert workshop.build(WORDS).cached == {"sounds": 1}
    assert voice.asked() == ["vino"]


class TestRetryFailed:
    def test_asks_again_for_what_was_refused_and_for_nothing_else(self, workshop: Workshop) -> None:
        voice = workshop.voice(make=refusing(NotFoundError("no"), "pan"))
        workshop.build(WORDS)
        voice.asked()
        voice.make = sound
        assert workshop.build(WORDS, retry_failed=True).delivered == {"sounds": (2, 2)}
        assert voice.asked() == ["pan"]
        # Now it is there, and the refusal is forgotten.
        assert workshop.build(WORDS).cached == {"sounds": 2}
        assert voice.asked() == []

    def test_does_not_ask_for_pictures_that_nobody_has(self, workshop: Workshop) -> None:
        artist = workshop.artist(make=refusing(NotFoundError("nothing fits"), "pan"))
        workshop.build(WORDS)
        artist.asked()
        workshop.build(WORDS, retry_failed=True)
        assert artist.asked() == []

    def test_asks_for_a_picture_that_was_refused_for_what_it_is(self, workshop: Workshop) -> None:
        artist = workshop.artist(make=refusing(ContentPolicyError("not such"), "pan"))
        workshop.build(WORDS)
        artist.asked()
        workshop.build(WORDS, retry_failed=True)
        assert artist.asked() == ["pan"]

    def test_leaves_alone_what_another_provider_has_made(self, workshop: Workshop) -> None:
        first = workshop.voice("first", make=refusing(NotFoundError("no"), "pan"))
        second = workshop.voice("second")
        assert workshop.build(WORDS).sources == {"sounds": {"first": 1, "second": 1}}
        first.asked(), second.asked()
        workshop.build(WORDS, retry_failed=True)
        assert (first.asked(), second.asked()) == ([], [])


def test_what_is_kept_is_used_also_where_its_provider_is_asked_no_more(workshop: Workshop) -> None:
    artist = workshop.artist(make=picture)
    workshop.build(WORDS)
    artist.make = refusing(QuotaError("spent"))
    report = workshop.build(["sal", *WORDS, "miel"])
    assert report.cached == {"pictures": 2}
    assert report.delivered == {"pictures": (2, 4)}
    assert artist.asked() == ["pan", "sal", "vino"]


@pytest.mark.parametrize("settings", [{"voice": "bob"}, {}], ids=["changed", "as it was"])
def test_a_build_that_makes_nothing_costs_nothing(workshop: Workshop, settings: dict[str, Any]) -> None:
    artist = workshop.artist(price=0.5)
    assert workshop.build(WORDS).costs == {"artist": 1.0}
    artist.settings.update(settings)
    report = workshop.build(WORDS, budget=None if settings else 0)
    assert (report.cost, report.costs) == ((1.0, {"artist": 1.0}) if settings else (0.0, {}))
