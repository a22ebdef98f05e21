"""Word lists: what people write, what they get wrong, and that nothing is lost on the way."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deckwright import DataError, ReadOnlyError, SettingError
from deckwright_builtins.csv import describe_media_providers, register_media_provider

EXAMPLES = Path(__file__).parents[4] / "examples"


def provider(base_path, **config):
    return register_media_provider("data", "csv", {"base_path": str(base_path), **config})


@pytest.fixture
def load(tmp_path):
    """Write text (or bytes) as a file, and load it as a word list."""

    def load(content, name="words.csv", **config):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return provider(tmp_path, **config).load_data(name)

    return load


APPLE = [{"word": "manzana", "translation": "apple"}]


def test_the_plugin_answers_to_its_own_name_only():
    assert register_media_provider("data", "json", {}) is None
    assert register_media_provider("audio", "csv", {}) is None
    (info,) = describe_media_providers()
    assert (info.type, info.name, info.traits.reads) == ("data", "csv", (".csv", ".tsv", ".txt"))


class TestColumns:
    @pytest.mark.parametrize(
        "header",
        [
            *(
                "word,translation",
                "Front,Back",
                " TERM , Meaning ",
                "Expression,Definition",
                "question,answer",
            ),
            *("target_word,gloss", "Word (es),Translation (en)", "Spanish,English", "vocab,English"),
            *("Spanish,meaning", "Spanish,German", "Kanji,Japanese"),
        ],
    )
    def test_common_names_are_known(self, load, header):
        assert load(f"{header}\nmanzana,apple\n") == APPLE

    def test_english_is_the_translation_even_when_it_comes_first(self, load):
        assert load("English,Spanish\napple,manzana\n") == [{"translation": "apple", "word": "manzana"}]

    def test_english_is_the_translation_when_another_language_has_no_part(self, load):
        assert load("Kanji,Japanese,English\n犬,いぬ,dog\n") == [
            {"word": "犬", "Japanese": "いぬ", "translation": "dog"}
        ]

    def test_every_column_has_its_place(self, load):
        text = "Topic;Sentence;Kana;Meaning;Word;Lang\nanimal;犬がいます。;いぬ;dog;犬;ja\n"
        assert load(text) == [
            {
                "tags": "animal",
                "example": "犬がいます。",
                "reading": "いぬ",
                "translation": "dog",
                "word": "犬",
                "language": "ja",
            }
        ]

    def test_other_columns_keep_their_names(self, load):
        assert load("word, My Notes \nHund,barks\n") == [{"word": "Hund", "My Notes": "barks"}]

    def test_the_clearer_name_wins_and_the_other_is_kept(self, load):
        assert load("Kanji,Word\n犬,いぬ\n") == [{"Kanji": "犬", "word": "いぬ"}]

    def test_missing_fields_are_empty(self, load):
        assert load("word,translation,tags\nmanzana\n") == [
            {"word": "manzana", "translation": "", "tags": ""}
        ]

    def test_columns_without_name_and_content_are_dropped(self, load):
        assert load("word,,translation,,\nmanzana,,apple,,\n") == APPLE

    def test_a_header_alone_is_a_list_without_words(self, load):
        assert load("word,translation\n") == []


class TestPlainLists:
    def test_every_line_is_a_word(self, load):
        assert load("perro\n\n  gato  \n¿qué tal?\n", "words.txt") == [
            {"word": "perro"},
            {"word": "gato"},
            {"word": "¿qué tal?"},
        ]

    def test_a_first_line_that_says_word_is_a_header(self, load):
        assert load("Word\nperro\n", "words.txt") == [{"word": "perro"}]

    def test_other_names_are_words(self, load):
        assert load("meaning\nSpanish\n", "words.txt") == [{"word": "meaning"}, {"word": "Spanish"}]

    def test_phrases_may_have_commas(self, load):
        assert load("Hola, ¿qué tal?\nadiós\n", "words.txt") == [
            {"word": "Hola, ¿qué tal?"},
            {"word": "adiós"},
        ]

    def test_comments_are_left_out_of_text_files_only(self, load):
        assert load("#separator:tab\n# from Anki\nperro\n", "words.txt") == [{"word": "perro"}]
        assert load("word\n#1\n", "words.csv") == [{"word": "#1"}]

    @pytest.mark.parametrize("name", ["words.csv", "words.tsv", "words.txt"])
    @pytest.mark.parametrize("delimiter", ["\t", ",", ";", "|"])
    def test_two_columns_without_header_are_word_and_translation(self, load, name, delimiter):
        text = f"manzana{delimiter}apple\npera{delimiter}pear\n"
        assert load(text, name) == [*APPLE, {"word": "pera", "translation": "pear"}]

    def test_a_translation_may_be_missing_after_a_tab(self, load):
        assert load("manzana\tapple\npera\n", "words.txt") == [*APPLE, {"word": "pera", "translation": ""}]


class TestDelimiters:
    @pytest.mark.parametrize("delimiter", ["\t", ",", ";", "|"])
    def test_each_is_found_whatever_else_is_in_the_fields(self, load, delimiter):
        others = " ".join({"\t", ",", ";", "|"} - {delimiter, "\t"})
        text = (
            delimiter.join(["word", "translation"])
            + "\n"
            + delimiter.join(["a" + others, "b" + others])
            + "\n"
        )
        assert load(text) == [{"word": "a" + others, "translation": "b" + others}]

    def test_those_in_quotation_marks_do_not_count(self, load):
        assert load('"a;b;c;d",e\n"f;g;h;i",j\n')[0] == {"word": "a;b;c;d", "translation": "e"}

    def test_what_every_line_has_alike_divides(self, load):
        text = "comer;to eat, to dine\nbeber;to drink\n"
        assert load(text)[0] == {"word": "comer", "translation": "to eat, to dine"}

    def test_excel_may_say_it_in_the_first_line(self, load):
        assert load("sep=;\r\nmanzana;apple\r\n") == APPLE

    def test_the_setting_decides(self, load):
        assert load("a,b|c\n", delimiter="|") == [{"word": "a,b", "translation": "c"}]

    def test_the_setting_takes_no_other(self):
        with pytest.raises(SettingError, match="delimiter"):
            provider(".", delimiter="::")


class TestText:
    def test_quotation_marks_hold_delimiters_newlines_and_themselves(self, load):
        text = 'word,example\r\n"uno, dos","first\r\nsecond ""third"""\r\n'
        assert load(text) == [{"word": "uno, dos", "example": 'first\nsecond "third"'}]

    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    def test_all_ends_of_lines(self, load, newline):
        assert load(f"word,translation{newline}manzana,apple{newline}") == APPLE

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_a_byte_order_mark_says_the_encoding(self, load, encoding):
        assert load("word\ttranslation\r\nmanzana\tapple\r\n".encode(encoding)) == APPLE

    def test_the_encoding_may_be_set(self, load):
        assert load("word\nniño\n".encode("latin-1"), encoding="latin-1") == [{"word": "niño"}]

    @pytest.mark.parametrize("encoding", ["latin-17", "zip", ""])
    def test_an_encoding_must_exist(self, encoding):
        with pytest.raises(SettingError, match="encoding"):
            provider(".", encoding=encoding)

    def test_letters_are_composed_and_space_is_stripped(self, load):
        assert load("word\n\u3000nin\u0303o\u00a0\n") == [{"word": "niño"}]


class TestFaults:
    @pytest.mark.parametrize(
        ("content", "where", "what"),
        [
            ("word,translation\na,b\na,b,c\n", "line 3", "3 fields"),
            ("word,translation\n\n,apple\n", "line 3", "word is missing"),
            ('word,example\na,b\nc,"d\ne\n', "line 3", "never closed"),
            ('word,example\na,"b\nc"\nd,"e" f\n', "line 4", "expected after"),
            ("word\na\0b\n", "line 2", "NUL"),
            ("a,b,c\n", "line 1", "'a', 'b', 'c'"),
            ("meaning,tags\na,b\n", "line 1", "'meaning', 'tags'"),
            ("word,Notes,notes\n", "line 1", "two columns are called 'notes'"),
            ("Word (es),word\n", "line 1", "two columns are called 'word'"),
            ("word,,translation\na,b,c\n", "line 2", "without a name"),
            ("word\nni\xf1o\n".encode("latin-1"), "line 2", "0xF1 is not valid UTF-8"),
            ("word,example\na," + "b" * 140_000 + "\n", "line 2", "larger than field limit"),
            ("sep=;\nword;tags\n;a\n", "line 3", "word is missing"),
        ],
    )
    def test_file_line_and_reason_are_named(self, load, content, where, what):
        with pytest.raises(DataError) as caught:
            load(content)
        assert f"words.csv, {where}: " in caught.value.message
        assert what in caught.value.message

    @pytest.mark.parametrize("content", ["", "\n \n", "\ufeff", ",,\n", '""\n'])
    def test_an_empty_file_is_no_word_list(self, load, content):
        with pytest.raises(DataError, match=r"words\.csv is empty"):
            load(content)

    def test_comments_alone_are_no_word_list(self, load):
        with pytest.raises(DataError, match="only contains comments"):
            load("# nothing yet\n", "words.txt")

    def test_a_header_without_word_column_says_what_to_write(self, load):
        with pytest.raises(DataError) as caught:
            load("Wort,Artikel,Thema\n")
        assert caught.value.hint.startswith('Call one of them "word"')
        assert "front" in caught.value.hint

    def test_a_wrong_encoding_says_what_to_do(self, load):
        with pytest.raises(DataError) as caught:
            load("niño".encode("latin-1"))
        assert "UTF-8" in caught.value.hint
        assert "encoding" in caught.value.hint

    @given(content=st.binary() | st.text(st.sampled_from('ab,;\t|\n\r"# \0=')).map(str.encode))
    @pytest.mark.parametrize("ending", [".csv", ".txt"])
    def test_any_bytes_are_words_or_a_data_error(self, tmp_path_factory, content, ending):
        folder = tmp_path_factory.getbasetemp()
        (folder / f"any{ending}").write_bytes(content)
        try:
            rows = provider(folder).load_data(f"any{ending}")
        except DataError as error:
            assert f"any{ending}" in error.message  # noqa: PT017 - either outcome is right
        else:
            assert all(row["word"] for row in rows)


FIELD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\x1f")).map(str.strip)
COLUMNS = ["translation", "reading", "example", "tags", "language", "My notes"]


class TestSaving:
    ROWS = [  # noqa: RUF012
        {"translation": "a, b", "word": "uno; dos", "notes": 'say "hi"'},
        {"translation": "", "word": "#1", "notes": "two\nlines"},
    ]

    @pytest.mark.parametrize("name", ["words.csv", "words.tsv", "words.txt", "new/folder/words.csv"])
    def test_rows_come_back_as_they_were(self, tmp_path, name):
        data = provider(tmp_path)
        assert data.save_data(name, self.ROWS) is True
        loaded = data.load_data(name)
        assert loaded == self.ROWS
        assert list(loaded[0]) == ["translation", "word", "notes"]

    def test_the_file_is_plain_utf8(self, tmp_path):
        provider(tmp_path).save_data("words.csv", [{"word": "niño", "translation": "child"}])
        assert (tmp_path / "words.csv").read_bytes() == "word,translation\nniño,child\n".encode()

    def test_another_encoding_holds_for_writing_too(self, tmp_path):
        data = provider(tmp_path, encoding="latin-1")
        data.save_data("words.csv", [{"word": "niño"}])
        assert data.load_data("words.csv") == [{"word": "niño"}]
        with pytest.raises(DataError, match="latin-1"):
            data.save_data("words.csv", [{"word": "犬"}])

    def test_a_column_that_some_rows_lack_is_empty_there(self, tmp_path):
        data = provider(tmp_path)
        data.save_data("words.csv", [{"word": "a"}, {"word": "b", "tags": "x"}])
        assert data.load_data("words.csv") == [{"word": "a", "tags": ""}, {"word": "b", "tags": "x"}]

    def test_no_words_are_a_list_too(self, tmp_path):
        data = provider(tmp_path)
        data.save_data("words.csv", [])
        assert data.load_data("words.csv") == []

    @pytest.mark.parametrize(
        "rows",
        [
            *(
                "text",
                ["text"],
                [{"word": 1}],
                [{1: "a", "word": "b"}],
                [{"translation": "a"}],
                [{"word": ""}],
            ),
            *([{"word": "a"}, {"word": " "}], [{"word": "a", "Word": "b"}], [{"word": "a", "": "b"}]),
            *(
                [{"word": "a", "meaning": "b"}],
                [{"word": "\ud800"}],
                [{"word": "a\0"}],
                [{"word": "a", "b": None}],
            ),
        ],
    )
    def test_what_could_not_be_read_again_leaves_the_file_as_it_was(self, tmp_path, rows):
        (tmp_path / "words.csv").write_text("word\nold\n")
        with pytest.raises(DataError, match=r"cannot be written|words\.csv, line"):
            provider(tmp_path).save_data("words.csv", rows)
        assert (tmp_path / "words.csv").read_text() == "word\nold\n"
        assert [path.name for path in tmp_path.iterdir()] == ["words.csv"]

    def test_read_only_is_read_only(self, tmp_path):
        (tmp_path / "words.csv").write_text("word\nold\n")
        data = provider(tmp_path, read_only=True)
        with pytest.raises(ReadOnlyError):
            data.save_data("words.csv", [{"word": "new"}])
        assert data.load_data("words.csv") == [{"word": "old"}]

    @given(
        rows=st.lists(
            st.fixed_dictionaries({"word": FIELD.filter(bool), **dict.fromkeys(COLUMNS, FIELD)}), min_size=1
        ),
        name=st.sampled_from(["any.csv", "any.tsv", "any.txt"]),
    )
    def test_saved_and_loaded_is_the_same_text(self, tmp_path_factory, rows, name):
        data = provider(tmp_path_factory.getbasetemp())
        data.save_data(name, rows)
        once = data.load_data(name)
        assert [list(row) for row in once] == [list(rows[0])] * len(rows)
        # Letters are composed on the first way; from then on nothing changes.
        data.save_data(name, once)
        assert data.load_data(name) == once

    @given(
        rows=st.lists(st.fixed_dictionaries({"word": st.text(string.printable).map(str.strip).filter(bool)}))
    )
    def test_words_alone_survive(self, tmp_path_factory, rows):
        data = provider(tmp_path_factory.getbasetemp())
        data.save_data("alone.txt", rows)
        assert [row["word"] for row in data.load_data("alone.txt")] == [
            row["word"].replace("\r\n", "\n").replace("\r", "\n") for row in rows
        ]


class TestExamples:
    @pytest.mark.parametrize("name", ["spanish.csv", "german.csv", "japanese.csv"])
    def test_each_is_a_list_worth_building(self, name):
        rows = provider(EXAMPLES).load_data(name)
        assert len(rows) >= 60
        assert len({row["word"] for row in rows}) == len(rows)
        assert len({row["translation"] for row in rows}) == len(rows)
        assert all(row["translation"] and row["example"] and row["tags"] for row in rows)

    def test_japanese_readings_are_kana(self):
        for row in provider(EXAMPLES).load_data("japanese.csv"):
            assert row["reading"], row
            assert all("\u3041" <= letter <= "\u30ff" for letter in row["reading"]), row

    def test_german_nouns_have_their_article(self):
        for row in provider(EXAMPLES).load_data("german.csv"):
            if "noun" in row["tags"].split():
                assert row["word"].split()[0] in ("der", "die", "das"), row
                assert row["plural"] == "" or row["plural"].startswith("die "), row

    def test_spanish_nouns_have_their_article(self):
        for row in provider(EXAMPLES).load_data("spanish.csv"):
            if "noun" in row["tags"].split():
                assert row["word"].split()[0] in ("el", "la", "los", "las"), row
