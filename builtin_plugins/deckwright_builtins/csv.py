"""Word lists from a spreadsheet, or with one word per line."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import attrs
from msgspec import Meta

from deckwright import DataError, DataProvider, ProviderInfo, Traits, hookimpl
from deckwright.toolkit.files import FileDataProvider, FileSettings
from deckwright.toolkit.languages import language_codes

Row = dict[str, str]

# Names of columns, the clearest first. Letter case, "_", "-" and a remark in brackets, as in "Translation (en)", do not
# matter.
_COLUMN_NAMES = {
    "word": "word, words, target word, headword, lemma, vocabulary, vocab, term, expression, phrase, kanji, hanzi, "
    "target, front, question",
    "translation": "translation, translations, meaning, meanings, definition, gloss, back, answer",
    "reading": "reading, kana, hiragana, furigana, pinyin, romaji, transliteration, pronunciation, ipa",
    "example": "example, example sentence, sentence, examples, context",
    "tags": "tags, tag, category, categories, topic",
    "language": "language, lang",
}
COLUMN_NAMES = {key: tuple(names.split(", ")) for key, names in _COLUMN_NAMES.items()}
_DELIMITERS = ("\t", ",", ";", "|")
# ASCII's "unit separator" never occurs in text, so that a whole line is one field.
_NO_DELIMITER = "\x1f"
# Spreadsheets save an empty sheet with only these characters.
_BLANK = ' \n"' + "".join(_DELIMITERS)
# Excel's line for the delimiter of a file.
_EXCEL_SEP = re.compile(r"sep=([,;\t|])(?=\n|\Z)", re.IGNORECASE)


def _is_encoding(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    try:
        "".encode(value)
    except LookupError as error:
        raise ValueError(str(error)) from error


@attrs.define
class CsvSettings(FileSettings):
    """The settings of `csv`."""

    delimiter: Annotated[
        Literal[",", ";", "\t", "|"] | None,
        Meta(description="the character between two columns; detected, when not set"),
    ] = None
    encoding: Annotated[
        str, Meta(description="the encoding of files that do not start with a byte order mark")
    ] = attrs.field(default="utf-8", validator=_is_encoding)


class CsvData(FileDataProvider):
    """Tables and plain lists of words. Identifiers include the ending: `"spanish.csv"`.

    Columns are recognised by the header: by `COLUMN_NAMES` or the names of languages; other columns keep their names.
    Without a header, two columns are word and translation, and one column is words. In a `.txt` file, lines that start
    with `#` are comments.
    """

    config_class = CsvSettings
    endings = (".csv", ".tsv", ".txt")

    def _load_data_impl(self, identifier: str) -> list[Row]:
        path = self._path(identifier)
        return _rows(self._read_text(path, self.settings.encoding), path, self.settings.delimiter)

    def _save_data_impl(self, identifier: str, data: Any) -> bool:
        path = self._path(identifier)
        delimiter = self.settings.delimiter or ("," if path.suffix.lower() == ".csv" else "\t")
        table = _table(data, path)
        # Without quotation marks, a word such as "#1" would be a comment in a .txt file.
        needs_quotes = any(record[0].startswith("#") for record in table)
        quoting: Literal[0, 1] = csv.QUOTE_ALL if needs_quotes else csv.QUOTE_MINIMAL
        text = io.StringIO()
        csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=quoting).writerows(table)
        # A file that can be read must not be replaced by one that is read in another way.
        read_back = _rows(text.getvalue(), path, self.settings.delimiter)
        columns = table[0]
        if len(read_back) != len(data) or any(list(row) != columns for row in read_back):
            raise DataError(
                f"{path} cannot be written: reading it would not give the same rows with the columns "
                f"{', '.join(map(repr, columns))}.",
                hint="Every row needs a word, and no column may have another name of a known column.",
            )
        try:
            content = text.getvalue().encode(self.settings.encoding)
        except UnicodeError as error:
            raise DataError(f"{path} cannot be written: {error}.") from error
        self._write(path, content)
        return True


def _rows(text: str, path: Path, delimiter: str | None) -> list[Row]:
    """Return the rows of a word list; a `DataError` names the line that cannot be read."""
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DataError(
            f"{path}, line {line}: there is a NUL character, which text cannot contain.",
            hint='If the file was saved as UTF-16, set encoding = "utf-16-le".',
        )
    if separator := _EXCEL_SEP.match(text):
        delimiter = delimiter or separator[1]
        text = text[separator.end() :]  # keeps the end of the line, so that line numbers stay right
    if not text.strip(_BLANK):
        raise DataError(f"{path} is empty: it contains no words.")
    delimiter = delimiter or _find_delimiter(text, path)
    records = list(_records(text, path, delimiter))
    if not records:
        raise DataError(f"{path} is empty: it only contains comments.")

    line, first = records[0]
    columns = _header(first, f"{path}, line {line}")
    if columns:
        del records[0]
    elif len(first) == 1:
        columns = ["word"]
    elif len(first) == 2 and not any(map(_is_known, first)):
        columns = ["word", "translation"]
    else:
        raise DataError(
            f"{path}, line {line}: no column has a known name for words. "
            f"The columns are: {', '.join(map(repr, first))}.",
            hint='Call one of them "word" in the first line. Other known names: '
            f"{', '.join(COLUMN_NAMES['word'][1:])}, and the English names of languages.",
        )
    return [_row(fields, columns, f"{path}, line {line}") for line, fields in records]


def _row(fields: list[str], columns: list[str], where: str) -> Row:
    if len(fields) > len(columns):
        raise DataError(
            f"{where}: there are {len(fields)} fields, but only {len(columns)} columns ({', '.join(columns)}).",
            hint='A field that contains the delimiter needs quotation marks: "one, two".',
        )
    fields = fields + [""] * (len(columns) - len(fields))
    row = {}
    for column, field in zip(columns, fields, strict=True):
        if column:
            row[column] = field
        elif field:
            raise DataError(f"{where}: {field!r} is in a column without a name in the header.")
    if not row["word"]:
        raise DataError(
            f"{where}: the word is missing; the line only contains {', '.join(filter(None, fields))!r}.",
            hint="Add the word, or remove the line.",
        )
    return row


def _records(text: str, path: Path, delimiter: str, strict: bool = True) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is neither blank nor a comment: its line, and its fields without empty ones at the end."""
    lines = text.split("\n")
    comments = path.suffix.lower() == ".txt"
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=strict)
    line = 1
    try:
        for record in reader:
            fields = [_clean(field) for field in record]
            while fields and not fields[-1]:
                fields.pop()
            if fields and not (comments and lines[line - 1].startswith("#")):
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        unclosed = "unexpected end" in str(error)
        problem = "a quotation mark is never closed" if unclosed else str(error)
        raise DataError(
            f"{path}, line {line}: {problem}.",
            hint='In a field that starts with a quotation mark, write "" for each quotation mark of the text.',
        ) from error


def _find_delimiter(text: str, path: Path) -> str:
    """Find the delimiter by trying each candidate on the first lines."""
    sample = "\n".join(text.split("\n", 100)[:100])
    best, most = _NO_DELIMITER, (0, 0)
    for delimiter in _DELIMITERS:
        # Not strict, since the sample may end within quotation marks.
        records = [fields for _, fields in _records(sample, path, delimiter, strict=False)]
        if not records or len(records[0]) < 2:
            continue
        names = sum(map(_is_known, records[0]))
        alike = sum(len(fields) == len(records[0]) for fields in records)
        # Phrases contain commas, too: in a .txt file without a header, every line must have one.
        phrases = path.suffix.lower() == ".txt" and delimiter != "\t" and min(map(len, records)) < 2
        if phrases and not names:
            continue
        if (names, alike) > most:
            best, most = delimiter, (names, alike)
    return best


def _is_known(name: str) -> bool:
    # Columns may also have names of languages: "Spanish,English".
    return _plain(name) in language_codes() or _plain(name) in set().union(*COLUMN_NAMES.values())


def _header(names: list[str], where: str) -> list[str] | None:
    """Return the key of each column; None if these are not names of columns, or none of them is the word."""
    plain = [_plain(name) for name in names]
    positions: dict[str, int] = {}
    for key, known in COLUMN_NAMES.items():
        found = [plain.index(name) for name in known if name in plain]
        if found:
            positions[key] = found[0]
    if len(names) > 1:
        _add_languages(plain, positions)
    if "word" not in positions:
        return None
    columns = list(names)
    for key, position in positions.items():
        columns[position] = key
    for each in (names, columns):
        counts = Counter(name.casefold() for name in each if name)
        if twice := [name for name, count in counts.items() if count > 1]:
            raise DataError(f"{where}: two columns are called {twice[0]!r}.")
    return columns


def _add_languages(plain: list[str], positions: dict[str, int]) -> None:
    """Use columns with names of languages as the word and the translation; English is the translation."""
    languages = [index for index, name in enumerate(plain) if name in language_codes()]
    languages.sort(key=lambda index: plain[index] == "english")
    if languages and "word" not in positions:
        positions["word"] = languages.pop(0)
    if languages and "translation" not in positions:
        positions["translation"] = languages[-1] if plain[languages[-1]] == "english" else languages[0]


def _plain(name: str) -> str:
    return " ".join(re.sub(r"\([^()]*\)$|[_-]", " ", name).casefold().split())


def _clean(field: str) -> str:
    return unicodedata.normalize("NFC", field.replace("\r\n", "\n").replace("\r", "\n")).strip()


def _table(data: Any, path: Path) -> list[list[str]]:
    """Return the header and the records of rows; the columns are in the order of their first use."""
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise DataError(f"{path} cannot be written: a word list is a list of dicts.")
    columns = list(dict.fromkeys(key for row in data for key in row)) or ["word"]
    table = [columns, *([row.get(column, "") for column in columns] for row in data)]
    for record in table:
        for field in record:
            if not isinstance(field, str) or "\0" in field:
                raise DataError(f"{path} cannot be written: {field!r} is not text.")
    return [[_clean(field) for field in record] for record in table]


@hookimpl
def describe_media_providers() -> list[ProviderInfo]:
    """Offer `csv`."""
    summary = "Word lists in tables (CSV, TSV), or in plain text with one word per line"
    traits = Traits(reads=CsvData.endings)
    return [ProviderInfo("data", "csv", summary, CsvSettings, traits=traits)]


@hookimpl
def register_media_provider(type: str, name: str, config: dict[str, Any]) -> DataProvider | None:
    """Make `csv`."""
    return CsvData(config) if (type, name) == ("data", "csv") else None
