"""Plugins as their users have them: distributions that are installed, a module on the path, and a single file."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import tomli
from broken_plugins import BROKEN, EXPECTED, SECRET, deck_in, expected, file_of, findings_about, matches
from environments import PLUGINS, ROOT, Environment

WORDS = ROOT / "examples" / "spanish.csv"
COUNT = 70
DISTRIBUTIONS = expected(BROKEN / "distributions")
ESSENTIALS = """
[build]
language = "es"
[providers.data.csv]
pipelines = ["*"]
[providers.sync.apkg]
pipelines = ["*"]
"""
# Every command, and its exit code with all the broken plugins.
COMMANDS = {
    ("build", str(WORDS), "--dry-run", "--json", "--config"): 0,
    ("check", "--json"): 3,
    ("check", "--online", "--json"): 3,
    ("estimate", str(WORDS), "--json", "--config"): 0,
    ("init", "has_help_that_is_not_text", "--dry-run", "--config"): 0,
    ("plugins", "--json", "--config"): 0,
    ("providers", "--json", "--config"): 0,
    ("schema", "--config"): 3,
}
CONFIG = f"""
[plugins]
modules = ["acme_gongs"]
paths = [{json.dumps(str(PLUGINS / "single" / "acme_drums.py"))}]
{ESSENTIALS}
[providers.audio.low]
type = "bell"
pitch = 220
pipelines = ["bells"]
[providers.audio.gong]
pipelines = ["gongs"]
[providers.image.drum]
pipelines = ["*"]
[providers.meaning.small]
type = "glossary"
words = {{ hola = "hello" }}
pipelines = ["bells"]
"""
EMPTY_GLOSSARY = """
[providers.meaning.empty]
type = "glossary"
words = {}
pipelines = ["*"]
"""
ASK_FOR_A_MEANING = """
from deckwright import ProviderRegistry

with ProviderRegistry.from_config("acme.toml") as registry:
    print(list(registry.for_pipeline("gongs")["meaning"]))
    print(registry.for_pipeline("bells")["meaning"]["small"].meaning_of("hola"))
"""


@pytest.fixture(scope="module")
def acme(installed: Environment) -> Environment:
    """The environment with a configuration acme.toml, which uses all plugins that work."""
    (installed.folder / "acme.toml").write_text(CONFIG, encoding="utf-8")
    return installed


def json_of(done: subprocess.CompletedProcess[str], code: int = 0) -> Any:
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return json.loads(done.stdout)


class TestThoseThatWork:
    def test_each_is_listed_with_its_version_and_origin(self, acme: Environment) -> None:
        records = json_of(acme.run("deckwright", "plugins", "--config", "acme.toml", "--json"))
        others = {one["name"]: one for one in records if one["provenance"]["kind"] != "built-in"}
        assert {
            name: (one["status"], one["provenance"]["kind"], one["version"]) for name, one in others.items()
        } == {
            "acme_bells": ("loaded", "installed", "1.2.0"),
            "acme_drums": ("loaded", "file", ""),
            "acme_gongs": ("loaded", "module", ""),
            "acme_meanings": ("loaded", "installed", "0.3.0"),
            "better_forvo": ("loaded", "installed", "2.0.0"),
        }
        assert others["acme_bells"]["provenance"]["distribution"] == "acme-bells"
        assert others["acme_meanings"]["offers"] == ["meaning/glossary"]
        assert not [each for one in records for each in one["diagnostics"] if each["severity"] == "error"]

    @pytest.mark.parametrize(
        ("pipeline", "instance", "ending"), [("bells", "low", ".wav"), ("gongs", "gong", ".mp3")]
    )
    def test_a_deck_has_their_sounds_and_pictures(
        self, acme: Environment, pipeline: str, instance: str, ending: str
    ) -> None:
        deck = acme.folder / f"{pipeline}.apkg"
        report = json_of(
            acme.run(
                "deckwright",
                "build",
                WORDS,
                "--config",
                "acme.toml",
                "--pipeline",
                pipeline,
                "--output",
                deck,
                "--json",
            )
        )
        assert report["sources"] == {"sounds": {instance: COUNT}, "pictures": {"drum": COUNT}}
        _, _, media = deck_in(deck)
        assert {Path(name).suffix for name, _ in media} == {ending, ".svg"}

    def test_a_new_type_is_seen_by_its_pipelines(self, acme: Environment) -> None:
        done = acme.run("python", "-c", ASK_FOR_A_MEANING)
        assert done.stdout.splitlines() == ["[]", "hello"], done.stderr

    def test_what_fails_of_a_new_type_is_recorded_as_of_any(self, acme: Environment) -> None:
        config = acme.folder / "failing.toml"
        config.write_text(CONFIG + EMPTY_GLOSSARY, encoding="utf-8")
        checked = json_of(acme.run("deckwright", "check", config, "--json"), code=3)
        assert "meaning.small" in checked["providers"]
        [problem] = checked["problems"]
        assert "providers.meaning.empty: ValueError: a glossary needs words" in problem
        assert "[plugin acme_meanings (acme-meanings 0.3.0), at " in problem

    def test_a_built_in_provider_stays_unless_the_other_is_preferred(self, acme: Environment) -> None:
        (acme.folder / "recordings").mkdir(exist_ok=True)
        (acme.folder / "recordings" / "hola.mp3").write_bytes(b"ID3 hola, as Ana says it")
        (acme.folder / "hola.txt").write_text("hola\n", encoding="utf-8")

        def maker() -> str:
            found = json_of(acme.run("deckwright", "providers", "--config", "forvo.toml", "--json"))
            [row] = [row for row in found["providers"] if (row["type"], row["name"]) == ("audio", "forvo")]
            return str(row["plugin"])

        config = acme.folder / "forvo.toml"
        providers = ESSENTIALS + '[providers.audio.forvo]\npipelines = ["*"]\nfolder = "recordings"\n'
        config.write_text(providers, encoding="utf-8")
        assert maker() == "deckwright_builtins.forvo (built-in)"
        findings = json_of(acme.run("deckwright", "doctor", "forvo.toml", "--json"), code=3)
        [remark] = [one for one in findings if "better_forvo" in one["where"]]
        assert "the built-in one stays. Choose one of them: " in remark["message"]
        assert remark["severity"] == "note"

        config.write_text(f'[plugins]\nprefer = ["better_forvo"]\n{providers}', encoding="utf-8")
        assert maker() == "better_forvo (better-forvo 2.0.0)"
        json_of(acme.run("deckwright", "build", "hola.txt", "--config", "forvo.toml", "--json"))
        [(_, sound)] = deck_in(acme.folder / "hola.apkg")[2]
        assert sound == b"ID3 hola, as Ana says it"


@pytest.fixture(scope="module")
def findings(with_broken_plugins: Environment) -> Any:
    """What the doctor finds with all the broken plugins."""
    done = with_broken_plugins.run("deckwright", "doctor", BROKEN / "deckwright.toml", "--json")
    assert SECRET not in done.stdout + done.stderr
    return json_of(done, code=3)


class TestBrokenPlugins:
    def test_each_distribution_is_expected(self) -> None:
        folders = {path.parent.name for path in (BROKEN / "distributions").glob("*/pyproject.toml")}
        assert folders == set(DISTRIBUTIONS)

    def test_the_deck_is_the_same_as_without_it(
        self, installed: Environment, with_broken_plugins: Environment
    ) -> None:
        report = installed.run("deckwright", "build", WORDS, "--config", BROKEN / "without.toml", "--json")
        assert json_of(report)["sources"]["sounds"] == {"espeak": COUNT}
        done = with_broken_plugins.run(
            "deckwright", "build", WORDS, "--config", BROKEN / "deckwright.toml", "--json"
        )
        json_of(done, code=3)
        assert SECRET not in done.stdout + done.stderr
        deck = deck_in(installed.folder / "spanish.apkg")
        assert len(deck[0]) == COUNT
        assert deck_in(with_broken_plugins.folder / "spanish.apkg") == deck

    @pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
    def test_commands_continue_and_print_their_own_output(
        self, with_broken_plugins: Environment, command: tuple[str, ...]
    ) -> None:
        done = with_broken_plugins.run("deckwright", *command, BROKEN / "deckwright.toml")
        assert done.returncode == COMMANDS[command], done.stderr
        (tomli if command[0] == "init" else json).loads(done.stdout)
        for printed in ("importing", "importing in bytes", "importing in lines"):
            assert f"broken: {printed}\n" in done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert SECRET not in done.stdout + done.stderr

    def test_creating_a_new_plugin_is_not_affected(self, with_broken_plugins: Environment) -> None:
        command = ("new-plugin", "acme-whistles", "--type", "audio", "--dry-run")
        done = with_broken_plugins.run("deckwright", *command)
        assert (done.returncode, done.stderr) == (0, "")
        assert "acme_whistles.py" in done.stdout

    @pytest.mark.parametrize("plugin", EXPECTED)
    def test_the_doctor_reports_it_with_its_file_and_a_hint(self, findings: Any, plugin: str) -> None:
        named = findings_about(findings, file_of(plugin, EXPECTED[plugin]))
        assert any(matches(finding, EXPECTED[plugin]) for finding in named), named

    @pytest.mark.parametrize("distribution", DISTRIBUTIONS)
    def test_the_doctor_reports_a_distribution_with_a_hint(self, findings: Any, distribution: str) -> None:
        named = findings_about(findings, DISTRIBUTIONS[distribution]["file"])
        assert any(matches(finding, DISTRIBUTIONS[distribution]) for finding in named), named
