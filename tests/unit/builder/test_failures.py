"""What failed: grouped by kind, each with its hint; and a report whose numbers add up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_providers import DeckBuilder, picture, raising

from deckwright import (
    AuthenticationError,
    BadMediaError,
    BuildError,
    ContentPolicyError,
    InvalidRequestError,
    MissingDependencyError,
    NotFoundError,
    ProviderError,
    QuotaError,
    RateLimitedError,
    TransientError,
)
from deckwright.builder.failures import failures_of

WORDS = ["uno", "dos", "tres", "cuatro"]


class _OfAPluginError(RateLimitedError):
    pass


@pytest.mark.parametrize(
    ("error", "kind", "hint"),
    [
        (QuotaError("x"), "quota spent", "Wait until it is renewed."),
        (AuthenticationError("x"), "key refused", "`deckwright check --online`"),
        (MissingDependencyError("x"), "package missing", "`deckwright doctor`"),
        (RateLimitedError("x"), "too many requests", "requests_per_second"),
        (_OfAPluginError("x"), "too many requests", "requests_per_second"),
        (TransientError("x"), "no answer", "Run the same command again"),
        (NotFoundError("x"), "nothing found", "--retry-failed"),
        (ContentPolicyError("x"), "content refused", "Reword"),
        (InvalidRequestError("x"), "request refused", "settings"),
        (BadMediaError("x"), "bad file", "report it to its author"),
        (ProviderError("x"), "failed", "Run the same command again"),
        (ZeroDivisionError("x"), "fault of the plugin", "Raised at "),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_kind_has_a_name_and_a_hint(
    builder: DeckBuilder, error: Exception, kind: str, hint: str
) -> None:
    builder.add_voice(make=raising(error))
    [failure] = failures_of(builder.build(WORDS).missing)
    assert (failure.label, failure.instance, failure.kind, failure.words) == (
        "sounds",
        "voice",
        kind,
        WORDS,
    )
    assert "x" in failure.message
    assert hint in failure.hint


def test_a_spent_budget_is_a_kind_of_its_own(builder: DeckBuilder) -> None:
    builder.add_voice(price=1.0)
    [failure] = failures_of(builder.build(WORDS, budget=2).missing)
    assert (failure.kind, failure.words) == ("budget spent", ["tres", "cuatro"])
    assert "budget of this build, $2.00" in failure.message
    assert failure.hint.startswith("Raise it")


def test_the_hint_of_the_provider_comes_before_the_usual_one(builder: DeckBuilder) -> None:
    builder.add_voice(make=raising(QuotaError("spent", hint="Buy more of it.")))
    [failure] = failures_of(builder.build(WORDS).missing)
    assert (failure.message, failure.hint) == ("spent", "Buy more of it.")


def test_the_most_frequent_is_first_and_of_a_chain_only_who_failed(builder: DeckBuilder) -> None:
    def of_each_kind(request: Any, settings: Any) -> bytes:
        if request.content == "uno":
            raise ContentPolicyError("not uno")
        if request.content == "dos":
            return picture(request, settings)
        raise BadMediaError(f"torn {request.content}")

    builder.add_voice(make=raising(NotFoundError("none"), "tres"))
    builder.add_artist("a", make=of_each_kind)
    builder.add_artist("b", make=raising(NotFoundError("nothing fits")))
    found = failures_of(builder.build(WORDS).missing)
    assert [(item.label, item.instance, item.kind, item.words) for item in found] == [
        ("pictures", "a", "bad file", ["tres", "cuatro"]),
        ("sounds", "voice", "nothing found", ["tres"]),
        ("pictures", "a", "content refused", ["uno"]),
    ]
    assert found[0].message == "torn tres"


def test_pictures_that_nobody_has_are_no_failure(builder: DeckBuilder) -> None:
    builder.add_artist(make=raising(NotFoundError("nothing fits")))
    report = builder.build(WORDS)
    assert len(report.missing) == 4
    assert failures_of(report.missing) == []


def test_where_no_provider_could_be_set_up_that_is_the_failure(builder: DeckBuilder) -> None:
    voice = builder.add_voice()
    voice.settings["no_such"] = 1
    voice.settings["timeout"] = "soon"
    [failure] = failures_of(builder.build(WORDS).missing)
    assert (failure.label, failure.instance, failure.kind) == ("sounds", "", "no provider")
    assert failure.words == WORDS
    assert "doctor" in failure.hint


def test_the_numbers_of_a_report_add_up(builder: DeckBuilder) -> None:
    expensive = builder.add_artist(
        "expensive", make=raising(NotFoundError("no"), "uno"), price=0.25, at_once=2
    )
    builder.add_artist("cheap", make=raising(NotFoundError("no"), "uno"), price=0.01)
    builder.add_voice(make=raising(NotFoundError("no"), "dos"))
    builder.build(WORDS[:3], budget=0.25)
    expensive.requested()
    report = builder.build(WORDS, budget=0.8)
    for label, (count, total) in report.delivered.items():
        assert total == report.words == len(WORDS)
        assert sum(report.sources[label].values()) == count
        assert report.cached[label] <= count
        assert sum(item.kind.label == label for item in report.missing) == total - count
    assert report.delivered == {"sounds": (3, 4), "pictures": (3, 4)}
    assert report.cached == {"sounds": 2, "pictures": 1}
    assert report.sources["pictures"] == {"expensive": 3}
    assert report.cost == sum(report.costs.values()) == pytest.approx(0.5)
    assert set(report.seconds) == {"sounds", "pictures", "deck"}
    assert [item.word.text for item in report.failed] == ["dos"]


def test_what_is_missing_is_in_the_order_of_the_words(builder: DeckBuilder) -> None:
    words = [f"palabra {number}" for number in range(40)]
    builder.add_voice(make=raising(NotFoundError("no")), at_once=8)
    builder.add_artist(make=raising(NotFoundError("no")), at_once=8)
    missing = builder.build(words).missing
    assert [(item.kind.type, item.word.text) for item in missing] == [
        (type, word) for type in ("audio", "image") for word in words
    ]


@pytest.mark.parametrize("content", ["a file", "no ledger"])
def test_a_store_that_cannot_be_used_is_reported_with_the_hint_and_nobody_is_asked(
    builder: DeckBuilder, content: str
) -> None:
    voice = builder.add_voice()
    if content == "a file":
        builder.store.write_text("in the way", encoding="utf-8")
    else:
        builder.store.mkdir()
        (builder.store / "ledger.sqlite").write_text("this is no database at all" * 50, encoding="utf-8")
    with pytest.raises(BuildError, match=r"The store .* cannot be used") as caught:
        builder.build(WORDS)
    assert voice.requested() == []
    assert str(builder.store) in caught.value.message
    assert "`store` in [build]" in (caught.value.hint or "")
    assert "DECKWRIGHT_STORE" in (caught.value.hint or "")


def test_the_store_may_be_named_by_the_configuration(
    builder: DeckBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = builder.add_voice()
    monkeypatch.delenv("DECKWRIGHT_STORE")
    monkeypatch.chdir(tmp_path)
    config = builder.config(build={"store": str(tmp_path / "kept")})
    builder.build(WORDS, config=config)
    assert len(list((tmp_path / "kept").rglob("*.mp3"))) == 4
    builder.build(WORDS, config=config)
    assert voice.requested() == sorted(WORDS)
