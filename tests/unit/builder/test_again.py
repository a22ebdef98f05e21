"""A build made again: what it requests again, and what it takes from the cache."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_providers import PLUGIN, DeckBuilder, picture, raising, sound

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


def test_nobody_is_asked_twice(builder: DeckBuilder) -> None:
    voice, artist = builder.add_voice(), builder.add_artist()
    first = builder.build(WORDS)
    assert (voice.requested(), artist.requested()) == (["pan", "vino"], ["pan", "vino"])
    files = builder.files
    again = builder.build(WORDS)
    assert (voice.requested(), artist.requested()) == ([], [])
    assert builder.files == files
    assert (first.cached, again.cached) == ({"sounds": 0, "pictures": 0}, {"sounds": 2, "pictures": 2})
    assert (first.sources, first.delivered) == (again.sources, again.delivered)


def test_what_is_cached_serves_another_deck(builder: DeckBuilder) -> None:
    voice = builder.add_voice()
    builder.build(WORDS, deck="One")
    assert builder.build(WORDS, deck="Other").cached == {"sounds": 2}
    assert voice.requested() == ["pan", "vino"]


def test_a_new_word_is_asked_for_alone(builder: DeckBuilder) -> None:
    voice = builder.add_voice()
    builder.build(WORDS)
    voice.requested()
    report = builder.build([*WORDS, "sal"])
    assert voice.requested() == ["sal"]
    assert report.cached == {"sounds": 2}


def test_a_setting_that_changes_what_is_made_has_it_made_again_and_only_there(builder: DeckBuilder) -> None:
    voice, artist = builder.add_voice(), builder.add_artist()
    builder.build(WORDS)
    voice.settings["voice"] = "bob"
    voice.requested(), artist.requested()
    builder.build(WORDS)
    assert (voice.requested(), artist.requested()) == (["pan", "vino"], [])
    assert b"ID3 pan by bob" in builder.files.values()
    # What the former voice said is kept beside it.
    del voice.settings["voice"]
    builder.build(WORDS)
    assert voice.requested() == []
    assert b"ID3 pan by ana" in builder.files.values()


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
def test_a_setting_that_changes_nothing_of_it_does_not(
    builder: DeckBuilder, settings: dict[str, Any]
) -> None:
    voice = builder.add_voice()
    builder.build(WORDS)
    voice.settings.update(settings)
    voice.requested()
    builder.build(WORDS)
    assert voice.requested() == []


def test_another_provider_is_asked_for_all_and_the_former_one_need_not_be_there(builder: DeckBuilder) -> None:
    voice = builder.add_voice()
    builder.build(WORDS)
    voice.requested()
    other = builder.add_voice(
        "other", make=lambda request, settings: b"ID3 " + request.content.upper().encode()
    )
    # Beside the first it is not asked for anything; alone it is.
    builder.build(WORDS)
    assert (voice.requested(), other.requested()) == ([], [])
    config = builder.config()
    del config["providers"]["audio"]["voice"]
    builder.build(WORDS, config=config)
    assert (voice.requested(), other.requested()) == ([], ["pan", "vino"])
    assert builder.build(WORDS).sources == {"sounds": {"voice": 2}}


def test_an_instance_of_another_name_is_the_same_provider(builder: DeckBuilder) -> None:
    voice = builder.add_voice()
    builder.build(WORDS)
    voice.requested()
    config = builder.config()
    config["providers"]["audio"] = {"calm": {"type": "voice", "pipelines": ["*"]}}
    assert builder.build(WORDS, config=config).sources == {"sounds": {"calm": 2}}
    assert voice.requested() == []


def test_a_file_that_somebody_deleted_is_made_again(builder: DeckBuilder) -> None:
    voice = builder.add_voice()
    builder.build(WORDS)
    files = builder.files
    voice.requested()
    [deleted] = [file for file in builder.store.rglob("*.mp3") if b"vino" in file.read_bytes()]
    deleted.unlink()
    report = builder.build(WORDS)
    assert (voice.requested(), report.cached, builder.files) == (["vino"], {"sounds": 1}, files)


# A changed translation: what each provider looks at


def test_by_default_all_that_is_known_of_a_word_counts(builder: DeckBuilder) -> None:
    artist = builder.add_artist()
    builder.build(WORDS)
    artist.requested()
    builder.build([{"word": "pan", "translation": "loaf", "example": "El pan."}, WORDS[1]])
    assert artist.requested() == ["pan"]
    builder.build([{**WORDS[0], "example": "Pan.", "tags": "food"}, WORDS[1]])
    assert artist.requested() == []


SPEAKER = """
from deckwright import hookimpl
from deckwright.toolkit.speech import Pcm, SpeechProvider, encode_mp3
import array, fake_providers

class Speaker(SpeechProvider):
    def _synthesize(self, text, language):
        fake_providers.PROVIDERS["audio", "voice"].requests.append(fake_providers.MediaRequest("audio", text))
        return Pcm(array.array("h", [9000, -9000] * 2000).tobytes(), 16000)

@hookimpl
def register_media_provider(type, name, config):
    return Speaker(config) if (type, name) == ("audio", "speaker") else None
"""


def test_a_synthesiser_is_not_asked_again_for_a_new_translation(builder: DeckBuilder, tmp_path: Path) -> None:
    fake = builder.add_voice()
    (tmp_path / "speaker.py").write_text(SPEAKER, encoding="utf-8")
    config = builder.config(plugins={"paths": [str(builder.plugin), str(tmp_path / "speaker.py")]})
    config["providers"]["audio"] = {"speaker": {"pipelines": ["*"]}}
    builder.build(WORDS, config=config)
    assert fake.requested() == ["pan", "vino"]
    changed = [{**word, "translation": "changed", "reading": "same to a voice"} for word in WORDS]
    builder.build(changed, config=config)
    assert fake.requested() == []
    builder.build(changed, config=config, language="fr")
    assert fake.requested() == ["pan", "vino"]


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
    builder: DeckBuilder, change: dict[str, Any], more: int
) -> None:
    with ForvoServer() as server:

        def build(translation: str = "hello", deck: str = "One", settings: Any = ()) -> Any:
            known = {"pipelines": ["*"], "api_key": server.key, "base_url": server.base_url}
            config = builder.config(providers={"audio": {"forvo": {**known, **dict(settings)}}})
            return builder.build([{"word": "hola", "translation": translation}], deck=deck, config=config)

        assert build().delivered == {"sounds": (1, 1)}
        assert len(server.requests) == 2
        assert build(**change).delivered == {"sounds": (1, 1)}
        assert len(server.requests) == 2 + more


# Whose code has changed


def test_a_changed_plugin_file_is_asked_again_and_its_former_results_come_back_with_it(
    builder: DeckBuilder,
) -> None:
    voice = builder.add_voice()
    builder.build(WORDS)
    builder.plugin.write_text(PLUGIN + "# better now\n", encoding="utf-8")
    voice.requested()
    builder.build(WORDS)
    assert voice.requested() == ["pan", "vino"]
    builder.plugin.write_text(PLUGIN, encoding="utf-8")
    builder.build(WORDS)
    assert voice.requested() == []


@pytest.fixture
def update(
    builder: DeckBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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

    builder.plugin.write_text("", encoding="utf-8")
    update()
    yield update
    sys.modules.pop("acme_staff", None)


@pytest.mark.parametrize(
    ("requests", "asked"), [(0, ["pan", "vino"]), (1, [])], ids=["costs nothing", "asks a service"]
)
def test_an_updated_package_is_asked_again_only_if_it_asks_no_service(
    builder: DeckBuilder, update: Callable[[], None], requests: int, asked: list[str]
) -> None:
    voice = builder.add_voice(traits=Traits(requests_per_item=requests))
    config = builder.config(plugins={"installed": True, "paths": []})
    builder.build(WORDS, config=config)
    assert voice.requested() == ["pan", "vino"]
    builder.build(WORDS, config=config)
    assert voice.requested() == []
    update()
    builder.build(WORDS, config=config)
    assert voice.requested() == asked


def test_what_a_programs_own_objects_make_is_never_cached(builder: DeckBuilder) -> None:
    """Nobody knows whether their code is still the same."""
    voice = builder.add_voice()
    plugin = builder.plugin.read_text(encoding="utf-8")
    builder.plugin.write_text("", encoding="utf-8")
    module: Any = type(sys)("staff")
    exec(plugin, module.__dict__)
    for _ in range(2):
        report = builder.build(WORDS, plugins=[module])
        assert (voice.requested(), report.cached) == (["pan", "vino"], {"sounds": 0})
        assert len(builder.files) == 2
    assert list(builder.store.rglob("*.mp3")) == []


@pytest.mark.parametrize("name", ["by hand", "voice"], ids=["beside the configured", "in place of it"])
def test_what_is_registered_by_hand_is_never_cached(builder: DeckBuilder, name: str) -> None:
    voice = builder.add_voice()
    config = builder.config()
    if name != "voice":
        config["providers"]["audio"]["voice"]["pipelines"] = ["another"]
    for _ in range(2):
        with ProviderRegistry.from_config(config) as registry:
            provider = registry.get("audio", "voice")
            registry.register_audio_provider(name, provider)
            report = run_plan(make_plan(WORDS, registry, language="es"), registry)
        assert (voice.requested(), report.cached) == (["pan", "vino"], {"sounds": 0})


# What may be used for one deck only


def test_what_is_for_one_deck_is_cached_for_that_and_requested_again_for_another(
    builder: DeckBuilder,
) -> None:
    voice = builder.add_voice(traits=Traits(cacheable=False))
    builder.build(WORDS, deck="One")
    builder.build(WORDS, deck="One")
    assert voice.requested() == ["pan", "vino"]
    builder.build(WORDS, deck="Other")
    assert voice.requested() == ["pan", "vino"]
    for deck in ("One", "Other"):
        assert builder.build(WORDS, deck=deck).cached == {"sounds": 2}
    assert voice.requested() == []


def test_so_is_a_refusal(builder: DeckBuilder) -> None:
    voice = builder.add_voice(make=raising(NotFoundError("no such word")), traits=Traits(cacheable=False))
    for deck in ("One", "One", "Other", "Other"):
        builder.build(["pan"], deck=deck)
    assert voice.requested() == ["pan", "pan"]


# What was refused


class _MyOwnError(NotFoundError):
    pass


@pytest.mark.parametrize("error", [NotFoundError, ContentPolicyError, _MyOwnError])
def test_a_refusal_is_remembered_for_30_days(builder: DeckBuilder, error: type[ProviderError]) -> None:
    voice = builder.add_voice(make=raising(error("not that", hint="Take another."), "pan"))
    first = builder.build(WORDS)
    voice.requested()
    again = builder.build(WORDS)
    assert voice.requested() == []
    for report in (first, again):
        [missing] = report.failed
        assert str(missing.reasons["voice"]) == "not that\n  Take another."
        assert isinstance(missing.reasons["voice"], error.__mro__[error is _MyOwnError])
    builder.query("UPDATE refusals SET at = at - ?", 29 * DAY)
    builder.build(WORDS)
    assert voice.requested() == []
    builder.query("UPDATE refusals SET at = at - ?", DAY)
    builder.build(WORDS)
    assert voice.requested() == ["pan"]
    # And then for 30 days more.
    builder.build(WORDS)
    assert voice.requested() == []


@pytest.mark.parametrize(
    "error",
    [TransientError("down"), QuotaError("spent"), ProviderError("not today"), KeyError("oh"), OSError("no")],
    ids=lambda error: type(error).__name__,
)
def test_any_other_failure_is_not(builder: DeckBuilder, error: Exception) -> None:
    voice = builder.add_voice(make=raising(error, "pan"))
    builder.build(WORDS[:1])
    voice.requested()
    voice.make = sound
    assert builder.build(WORDS[:1]).delivered == {"sounds": (1, 1)}
    assert voice.requested() == ["pan"]


def test_what_fails_is_asked_for_again_and_what_was_made_is_not(builder: DeckBuilder) -> None:
    voice = builder.add_voice(make=raising(TransientError("down"), "vino"))
    assert builder.build(WORDS).delivered == {"sounds": (1, 2)}
    voice.requested()
    voice.make = sound
    assert builder.build(WORDS).cached == {"sounds": 1}
    assert voice.requested() == ["vino"]


class TestRetryFailed:
    def test_asks_again_for_what_was_refused_and_for_nothing_else(self, builder: DeckBuilder) -> None:
        voice = builder.add_voice(make=raising(NotFoundError("no"), "pan"))
        builder.build(WORDS)
        voice.requested()
        voice.make = sound
        assert builder.build(WORDS, retry_failed=True).delivered == {"sounds": (2, 2)}
        assert voice.requested() == ["pan"]
        # Now it is there, and the refusal is forgotten.
        assert builder.build(WORDS).cached == {"sounds": 2}
        assert voice.requested() == []

    def test_does_not_ask_for_pictures_that_nobody_has(self, builder: DeckBuilder) -> None:
        artist = builder.add_artist(make=raising(NotFoundError("nothing fits"), "pan"))
        builder.build(WORDS)
        artist.requested()
        builder.build(WORDS, retry_failed=True)
        assert artist.requested() == []

    def test_asks_for_a_picture_that_was_refused_for_what_it_is(self, builder: DeckBuilder) -> None:
        artist = builder.add_artist(make=raising(ContentPolicyError("not such"), "pan"))
        builder.build(WORDS)
        artist.requested()
        builder.build(WORDS, retry_failed=True)
        assert artist.requested() == ["pan"]

    def test_leaves_alone_what_another_provider_has_made(self, builder: DeckBuilder) -> None:
        first = builder.add_voice("first", make=raising(NotFoundError("no"), "pan"))
        second = builder.add_voice("second")
        assert builder.build(WORDS).sources == {"sounds": {"first": 1, "second": 1}}
        first.requested(), second.requested()
        builder.build(WORDS, retry_failed=True)
        assert (first.requested(), second.requested()) == ([], [])


def test_what_is_cached_is_used_also_where_its_provider_is_asked_no_more(builder: DeckBuilder) -> None:
    artist = builder.add_artist(make=picture)
    builder.build(WORDS)
    artist.make = raising(QuotaError("spent"))
    report = builder.build(["sal", *WORDS, "miel"])
    assert report.cached == {"pictures": 2}
    assert report.delivered == {"pictures": (2, 4)}
    assert artist.requested() == ["pan", "sal", "vino"]


@pytest.mark.parametrize("settings", [{"voice": "bob"}, {}], ids=["changed", "as it was"])
def test_a_build_that_makes_nothing_costs_nothing(builder: DeckBuilder, settings: dict[str, Any]) -> None:
    artist = builder.add_artist(price=0.5)
    assert builder.build(WORDS).costs == {"artist": 1.0}
    artist.settings.update(settings)
    report = builder.build(WORDS, budget=None if settings else 0)
    assert (report.cost, report.costs) == ((1.0, {"artist": 1.0}) if settings else (0.0, {}))
