"""Words: what a build takes for one, and what it says of that which is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deckwright import BuildError, DataError, DataProvider, DeckwrightError, ProviderInfo, Traits, hookimpl
from deckwright.builder.words import make_words

Build = Callable[..., Any]


def test_words_are_text_or_tables_and_keep_their_order(build: Build) -> None:
    built = build(["uno", {"word": "dos", "translation": "two", "example": "Dos gatos."}, "tres"])
    assert built.field("Word") == ["uno", "dos", "tres"]
    assert built.field("Translation") == ["", "two", ""]
    assert built.field("Example") == ["", "Dos gatos.", ""]
    assert (built.report.words, built.report.repeated) == (3, 0)


def test_a_reading_is_shown_unless_it_is_the_word_itself(build: Build) -> None:
    built = build([{"word": "犬", "reading": "いぬ"}, {"word": "いぬ", "reading": "いぬ"}], language="ja")
    assert built.field("Reading") == ["いぬ", ""]


def test_further_columns_are_facts_of_the_word(build: Build) -> None:
    [extra] = build([{"word": "el pez", "plural": "los peces", "note": "", "rank": 7}]).field("Extra")
    assert extra == "<dl><dt>plural</dt><dd>los peces</dd><dt>rank</dt><dd>7</dd></dl>"


@pytest.mark.parametrize("tags", ["noun, big food", ["noun", "big", "food"], "noun  big,food,"])
def test_tags_are_text_or_a_list(build: Build, tags: object) -> None:
    assert build([{"word": "pan", "tags": tags}]).deck.notes[0].tags == ("noun", "big", "food")


def test_a_tag_of_a_list_has_no_spaces(build: Build) -> None:
    assert build([{"word": "pan", "tags": ["at home", " "]}]).deck.notes[0].tags == ("at_home",)


def test_several_translations_may_be_a_list(build: Build) -> None:
    assert build([{"word": "pan", "translation": ["bread", "loaf"]}]).field("Translation") == ["bread, loaf"]


def test_a_word_that_is_there_already_is_left_out_and_counted(build: Build) -> None:
    built = build(["pan", " pan ", {"word": "pan", "tags": "food"}, "vino"])
    assert built.field("Word") == ["pan", "vino"]
    assert built.report.repeated == 2


def test_an_accent_of_its_own_makes_no_other_word(build: Build) -> None:
    built = build(["sí", "si\u0301"])
    assert built.field("Word") == ["sí"]
    assert built.report.repeated == 1


def test_a_word_with_two_meanings_is_two_notes(build: Build) -> None:
    built = build([{"word": "banco", "translation": "bank"}, {"word": "banco", "translation": "bench"}])
    assert built.field("Translation") == ["bank", "bench"]
    assert len({note.guid for note in built.deck.notes}) == 2


def test_the_same_word_in_two_languages_is_two_notes(build: Build) -> None:
    built = build([{"word": "pan", "language": "es"}, {"word": "pan", "language": "Polish"}])
    assert len({note.guid for note in built.deck.notes}) == 2


def test_half_a_character_does_not_break_a_deck(build: Build) -> None:
    built = build(["a\ud83d", {"word": "b", "tags": ["\udc00"], "c\udc00": "d\udc00"}])
    assert built.field("Word") == ["a?", "b"]
    assert built.deck.notes[1].tags == ("?",)
    assert built.field("Extra")[1] == "<dl><dt>c?</dt><dd>d?</dd></dl>"


@pytest.mark.parametrize("row", [None, 7, [], {}, {"word": ""}, {"word": " \n"}, {"Word": "pan"}, b"pan"])
def test_what_is_not_a_word_is_named_by_its_place(build: Build, row: object) -> None:
    with pytest.raises(DataError, match=r"the word list: item 2 is not a word") as caught:
        build(["uno", row])
    assert caught.value.hint


def test_no_words_are_no_deck(build: Build) -> None:
    with pytest.raises(DataError, match="it contains no words"):
        build([])


def test_words_without_a_language_are_refused_with_a_way_to_set_it(build: Build) -> None:
    with pytest.raises(DataError, match="has no language") as caught:
        build(["uno"], language=None)
    assert "--language" in (caught.value.hint or "")


def test_an_unknown_language_of_one_word_is_named_by_its_place(build: Build) -> None:
    with pytest.raises(DataError, match=r"item 2: 'Spansh' is not a language, did you mean 'spanish'\?"):
        build(["uno", {"word": "dos", "language": "Spansh"}])


texts = st.text(st.characters())  # halves of surrogate pairs among them
cells = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary()
values = cells | st.lists(cells, max_size=3) | st.dictionaries(texts, cells, max_size=3)
names = st.sampled_from(["word", "translation", "reading", "tags", "language"]) | texts | st.integers()
words = st.builds(lambda word, row: {**row, "word": word}, texts, st.dictionaries(names, values))


@given(st.lists(words | texts | values))
def test_any_rows_are_words_or_one_clear_error(rows: list[Any]) -> None:
    try:
        made, repeated = make_words(rows, "es", "words.csv")
    except DeckwrightError:
        return
    assert len(made) + repeated == len(rows)
    assert all(word.text.strip() == word.text != "" for word in made)
    for word in made:
        json.dumps(attrs.asdict(word), ensure_ascii=False).encode()  # raises for what is no text


# Word lists in files


def test_a_word_list_may_lie_anywhere(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "in a folder" / "más palabras.csv"
    path.parent.mkdir()
    path.write_text("word,translation\nhola,hello\n", encoding="utf-8")
    built = build(path)
    assert built.field("Translation") == ["hello"]
    assert built.deck.name == "Más palabras"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"hola": "hello"}', "a word list must be a list, not a dict"),
        ('["hola", 3]', "item 2 is not a word: 3"),
        ('["hola"', "line 1"),
        ("[]", "it contains no words"),
    ],
)
def test_json_that_is_no_word_list_is_refused(
    build: Build, tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "words.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        build(path)
    assert str(path) in str(caught.value)


def test_a_word_list_that_is_not_there_is_named(build: Build, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no word list .*nowhere\.csv"):
        build(tmp_path / "nowhere.csv")


def test_a_file_of_a_kind_that_nobody_reads_is_refused_with_those_that_are(
    build: Build, tmp_path: Path
) -> None:
    path = tmp_path / "words.xlsx"
    path.write_bytes(b"PK")
    with pytest.raises(DataError, match=r"reads \.xlsx files") as caught:
        build(path)
    assert ".csv" in (caught.value.hint or "")


def test_a_pipeline_without_a_reader_for_the_file_is_refused_with_the_one_to_add(
    build: Build, tmp_path: Path
) -> None:
    path = tmp_path / "words.csv"
    path.write_text("hola\n", encoding="utf-8")
    providers = {"data": {"json": {"pipelines": ["*"]}}, "sync": {"target": {"pipelines": ["*"]}}}
    with pytest.raises(DataError, match=r"reads \.csv files") as caught:
        build(path, config={"providers": providers})
    assert "[providers.data.csv]" in (caught.value.hint or "")


def test_a_reader_has_the_settings_of_its_instance(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    path.write_bytes("word\nadiós\n".encode("latin-1"))
    providers = {
        "data": {
            "csv": {"pipelines": ["*"], "encoding": "latin-1", "base_path": "/elsewhere", "files": ["a.csv"]}
        },
        "sync": {"target": {"pipelines": ["*"]}},
    }
    assert build(path, config={"providers": providers}).field("Word") == ["adiós"]


class _Verses(DataProvider):
    def _load_data_impl(self, identifier: str) -> list[str]:
        return [identifier, "verso"]

    def _save_data_impl(self, identifier: str, data: Any) -> bool:
        return False

    def exists(self, identifier: str) -> bool:
        return True

    def list_identifiers(self) -> list[str]:
        return []


class _VersesPlugin:
    @hookimpl
    def describe_media_providers(self) -> list[ProviderInfo]:
        return [ProviderInfo("data", "verses", traits=Traits(reads=(".verse",)))]

    @hookimpl
    def register_media_provider(self, type: str, name: str, config: dict[str, Any]) -> Any:
        return _Verses(config) if (type, name) == ("data", "verses") else None


def test_a_plugin_adds_a_kind_of_word_list(tmp_path: Path) -> None:
    from deckwright import ProviderRegistry
    from deckwright.builder.plan import make_plan

    (tmp_path / "a.verse").touch()
    config = {"providers": {"data": {"verses": {"pipelines": ["*"]}}, "sync": {"apkg": {"pipelines": ["*"]}}}}
    with ProviderRegistry.from_config(config, plugins=[_VersesPlugin()]) as registry:
        plan = make_plan(tmp_path / "a.verse", registry, language="es")
    assert [word.text for word in plan.words] == ["a.verse", "verso"]


def test_a_pipeline_without_a_target_is_refused_before_anything_is_made() -> None:
    from deckwright import build_deck

    config = {
        "providers": {
            "audio": {"pico": {"pipelines": ["*"]}},
            "sync": {"apkg": {"pipelines": ["*"], "path": 3}},
        }
    }
    with pytest.raises(BuildError, match=r"(?s)no provider of the type sync.*path: should be a path"):
        build_deck(["hola"], language="es", config=config)
