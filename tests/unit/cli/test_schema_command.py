"""`deckwright schema`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]

# A plugin that describes a provider, and would make it by leaving a trace.
TRACE = """
from pathlib import Path

import attrs
from deckwright import ProviderInfo, hookimpl

print("hello")

@attrs.define
class TraceSettings:
    depth: int = 3

@hookimpl
def describe_media_providers():
    return [ProviderInfo("audio", "trace", "Leaves a trace", TraceSettings)]

@hookimpl
def register_media_provider(type, name, config):
    Path("trace.txt").touch()
"""


def test_the_schema_is_printed_with_what_plugins_add_and_nothing_is_made(run: Run, folder: Path) -> None:
    Path("trace.py").write_text(TRACE)
    Path("deckwright.toml").write_text(
        'plugins.paths = ["trace.py"]\n[providers.audio.trace]\npipelines = ["*"]'
    )
    done = run("schema")
    assert done.code == 0
    schema = json.loads(done.out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$defs"]["provider.audio.trace"]["properties"]["depth"]["default"] == 3
    assert not Path("trace.txt").exists()


def test_it_is_written_to_a_file(run: Run, folder: Path) -> None:
    done = run("schema", "-o", "a.json", "-c", "bell.toml")
    assert (done.code, done.out, done.err) == (0, "", "a.json is written.\n")
    assert json.loads(Path("a.json").read_text()) == json.loads(run("schema", "-c", "bell.toml").out)
    assert run("schema", "-o", "a.json").code == 0  # made anew, after a plugin was added
    lost = run("schema", "-o", "bell.toml")
    assert (lost.code, "bell.toml exists and is not such a schema" in lost.err) == (2, True)
    assert "[plugins]" in Path("bell.toml").read_text()
    gone = run("schema", "-o", Path("nowhere", "a.json"))
    assert (gone.code, gone.out) == (1, "")
    assert "a.json" in gone.err


def test_a_plugin_that_failed_is_told_beside_the_schema(run: Run, folder: Path) -> None:
    Path("torn.py").write_text("def (")
    Path("torn.toml").write_text('plugins.paths = ["torn.py"]')
    done = run("schema", "-c", "torn.toml")
    assert done.code == 3
    assert "torn" in done.err
    assert "SyntaxError" in done.err
    assert json.loads(done.out)


def test_a_section_of_plugins_that_is_wrong_is_wrong_input(run: Run, folder: Path) -> None:
    Path("wrong.toml").write_text("plugins.paths = 1")
    done = run("schema", "-c", "wrong.toml", "-o", "a.json")
    assert (done.code, done.out) == (2, "")
    assert "plugins.paths" in done.err
    assert not Path("a.json").exists()


def test_its_help_says_how_editors_use_it(run: Run) -> None:
    done = run("schema", "--help")
    assert "\n    #:schema ./deckwright.schema.json\n" in done.out
    assert '\n    "$schema": "./deckwright.schema.json"\n' in done.out
