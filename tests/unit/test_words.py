"""The glossary of docs/architecture.md: the words it retires are in no code, message or page."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[2]
GLOSSARY = (
    (ROOT / "docs" / "architecture.md")
    .read_text(encoding="utf-8")
    .split("## The words we use")[1]
    .split("\n## ")[0]
)
CODE = [
    path
    for folder in ("core", "builtin_plugins")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".pyi", ".toml", ".html", ".css", ".js", ".template")
]
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "examples").glob("*.md"),
    *(ROOT / ".github").rglob("*.md"),
]


@attrs.frozen
class RetiredWord:
    """A row of the second table of the glossary."""

    forms: list[str]
    replacements: list[str]
    names_only: bool


def table_rows(header: str) -> list[list[str]]:
    """Return the cells of each row of the table with this header."""
    table = GLOSSARY.split(header)[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def retired_words() -> list[RetiredWord]:
    return [
        RetiredWord(forms.split(", "), replacements.split(", "), where == "names")
        for forms, replacements, where in table_rows("| retired | instead | where |")
    ]


def words_of(text: str) -> str:
    """Return the words of a text in lower case, separated by blanks; the parts of an identifier are words."""
    text = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text)
    return f" {' '.join(re.findall(r'[a-z]+', text.lower()))} "


def names_of(path: Path) -> str:
    """Return the identifiers of a Python file."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    return " ".join(token.string for token in tokens if token.type == tokenize.NAME)


def uses(words: str, forms: list[str]) -> Iterator[str]:
    yield from (form for form in forms if f" {form} " in words)


def test_no_retired_word_is_used() -> None:
    found = []
    for path in (*CODE, *PAGES):
        location = str(path.relative_to(ROOT))
        everything = words_of(f"{location}\n{path.read_text(encoding='utf-8').replace(GLOSSARY, '')}")
        names = words_of(f"{location} {names_of(path)}") if path.suffix == ".py" else ""
        for word in retired_words():
            for form in uses(names if word.names_only else everything, word.forms):
                found.append(f"{location}: {form} (write {' or '.join(word.replacements)})")
    assert found == []


def test_every_word_that_is_recommended_is_used() -> None:
    code = words_of(" ".join(path.read_text(encoding="utf-8") for path in CODE))
    standard = [word for word, _ in table_rows("| word | meaning |")]
    replacements = [word for retired in retired_words() for word in retired.replacements]
    unused = [
        word for word in (*standard, *replacements) if f" {word} " not in code and f" {word}s " not in code
    ]
    assert unused == []


def test_no_retired_word_is_recommended() -> None:
    retired = {form for word in retired_words() if not word.names_only for form in word.forms}
    standard = {word for word, _ in table_rows("| word | meaning |")}
    assert retired.isdisjoint(standard)
    assert retired.isdisjoint(replacement for word in retired_words() for replacement in word.replacements)


def test_the_parts_of_an_identifier_are_words() -> None:
    assert words_of("MendedThing.was_told(x)") == " mended thing was told x "
