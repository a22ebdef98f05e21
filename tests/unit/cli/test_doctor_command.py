"""`deckwright doctor`: each thing that is wrong, or will be, with its place and the mend."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deckwright.extras import missing_packages

Run = Callable[..., Any]

PLUGIN = """
import attrs
from deckwright import MediaProvider, MediaResult, ProviderInfo, Traits, hookimpl

class Odd(MediaProvider):
    supported_types = ("audio",)

    def _setup_from_config(self):
        if self.config.get("prints"):
            print("key:", self.config["api_key"])
        if self.config.get("breaks"):
            {}["nothing here"]

    def _generate_media_impl(self, request):
        with open("asked", "a") as file:
            file.write(request.content)
        raise LookupError("lost in the works")

    def close(self):
        if self.config.get("sticks"):
            raise OSError("the door sticks")

@hookimpl
def describe_media_providers():
    traits = Traits(requests_per_item=1)
    return [
        ProviderInfo("audio", "odd"),
        ProviderInfo("audio", "far", traits=traits),
        ProviderInfo("audio", "poor", extra="no-such-distribution[fine]"),
    ]

@hookimpl
def register_media_provider(type, name, config):
    return Odd(config) if name in ("odd", "far", "poor") else None
"""
REST = """
[plugins]
paths = ["odd.py"]
[providers.data.csv]
pipelines = ["*"]
[providers.sync.apkg]
pipelines = ["*"]
"""


@pytest.fixture
def doctor(run: Run, folder: Path) -> Callable[..., Any]:
    """Writes a configuration with one provider, has the doctor look, and returns exit code and findings."""

    def doctor(provider: str = "audio.pico", settings: str = "", rest: str = REST) -> tuple[int, Any]:
        Path("odd.py").write_text(PLUGIN)
        Path("deckwright.toml").write_text(f'{rest}\n[providers.{provider}]\npipelines = ["*"]\n{settings}\n')
        done = run("doctor", "--json")
        return done.code, json.loads(done.out)

    return doctor


def one(findings: list[dict[str, Any]]) -> dict[str, Any]:
    [problem] = [finding for finding in findings if finding["is_problem"]]
    return problem


def test_where_all_is_well_it_says_so(run: Run, folder: Path) -> None:
    done = run("doctor")
    assert (done.code, done.out, done.err) == (0, "All is well.\n", "")
    assert json.loads(run("doctor", "--json").out) == []


@pytest.mark.parametrize(
    ("provider", "settings", "about", "what", "mend"),
    [
        ("audio.odd", "breaks = true", "providers.audio.odd", "KeyError: 'nothing here'", 'disable = ["odd"]'),
        ("audio.odd", "", "providers.audio.odd", "LookupError: lost in the works", "disable"),
        ("audio.far", "sticks = true", "providers.audio.far", "cannot be closed: OSError: the door sticks", "disable"),
        ("audio.poor", "", "providers.audio.poor", "needs no-such-distribution[fine]", "pip install"),
        ("audio.pico", "speed = 9000", "audio.pico.speed", "9000 is not allowed", "Correct it there"),
        ("audio.pico", "sped = 1", "audio.pico", "sped: unknown setting, did you mean 'speed'?", "Correct it"),
        ("audio.forvo", 'api_key = "${NO_SUCH_VARIABLE}"', "forvo.api_key", "NO_SUCH_VARIABLE is not set", "Set it."),
        ("audio.fornvo", "", "audio.fornvo", "Unknown audio provider: fornvo, did you mean 'forvo'?", "Known are"),
        ("image.openai", 'api_key = "k"\nmodel = "dall-e-3"', "image.openai", "was shut down on", "Correct it"),
        ("data.json", 'base_path = "odd.py/words"', "data.json", "cannot be there", "another folder"),
    ],
)  # fmt: skip
def test_a_provider_that_does_not_work_is_told_with_the_mend(
    doctor: Any, provider: str, settings: str, about: str, what: str, mend: str
) -> None:
    code, findings = doctor(provider, settings)
    finding = one(findings)
    assert (code, about in finding["about"], what in finding["what"], mend in finding["mend"]) == (
        3, True, True, True,
    ), finding  # fmt: skip
    if provider == "audio.odd":
        assert "odd.py:" in f"{finding}"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_so_is_a_folder_out_of_reach(doctor: Any) -> None:
    Path("closed").mkdir(mode=0o500)
    _, findings = doctor("data.json", 'base_path = "closed/words"')
    assert "cannot be made in" in one(findings)["what"]


@pytest.mark.parametrize(("provider", "settings"), [("audio.far", ""), ("audio.odd", 'api_key = "a-key"')])
def test_what_may_cost_something_is_not_tried(doctor: Any, provider: str, settings: str) -> None:
    assert doctor(provider, settings) == (0, [])
    assert not Path("asked").exists()


def test_what_is_free_is_tried_with_a_word(doctor: Any) -> None:
    doctor("audio.odd")
    assert Path("asked").read_text() == "apple"


def test_code_that_prints_a_secret_is_named_and_the_secret_is_not_shown(doctor: Any, run: Run) -> None:
    code, findings = doctor("audio.far", 'prints = true\napi_key = "s3cr3t-value"')
    line = PLUGIN.splitlines().index('            print("key:", self.config["api_key"])') + 1
    finding = one(findings)
    assert (code, finding["about"], finding["what"]) == (
        3,
        f"code at {Path('odd.py').absolute()}:{line}",
        "a secret is printed",
    )
    done = run("doctor")
    assert "s3cr3t" not in done.out + done.err
    assert "key: ***" in done.err


@pytest.mark.parametrize("command", ["build", "check", "estimate", "plugins", "providers", "schema"])
def test_so_no_command_shows_it_and_none_mixes_it_with_its_own_output(
    doctor: Any, run: Run, command: str
) -> None:
    doctor("audio.far", 'prints = true\napi_key = "s3cr3t-value"')
    Path("odd.py").write_text(f"print('hello')\n{PLUGIN}")
    Path("words.txt").write_text("hola")
    words = ["words.txt", "-l", "es"] if command in ("build", "estimate") else []
    done = run(command, *words, *([] if command == "schema" else ["--json"]))
    json.loads(done.out)
    assert "hello" in done.err
    assert "s3cr3t" not in done.out + done.err


def test_plugins_that_fail_or_are_in_conflict_are_told(doctor: Any) -> None:
    Path("a.py").write_text(PLUGIN)
    Path("broken.py").write_text("x = 1\n1 / 0\n")
    rest = REST.replace('["odd.py"]', '["odd.py", "a.py", "broken.py"]\nonly = ["odd", "a", "broken", "c"]')
    code, findings = doctor(rest=rest)
    told = {finding["what"]: finding for finding in findings}
    assert code == 3
    fault = next(finding for what, finding in told.items() if "ZeroDivisionError" in what)
    assert "broken.py:2" in fault["what"]
    assert fault["mend"] == 'Mend it, or leave it out: [plugins] disable = ["broken"].'
    conflict = next(finding for what, finding in told.items() if "'odd' is offered by a (" in what)
    assert '[plugins] prefer = ["a"]' in conflict["mend"]
    assert any("there is no plugin 'c'" in what for what in told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("providers = 3", "should be a table of types"),
        ("[providers.audio.pico]\n[plugins]\ndisabel = []", "missing required 'pipelines' field"),
        ("not toml", "deckwright.toml"),
    ],
)
def test_a_configuration_that_is_wrong_in_itself_is_told_and_plugins_are_looked_at_all_the_same(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    Path("broken.py").write_text("1 / 0")
    monkeypatch.setenv("DECKWRIGHT_PLUGINS", "./broken.py")
    Path("deckwright.toml").write_text(text)
    done = run("doctor", "--json")
    findings = json.loads(done.out)
    assert done.code == (2 if text == "not toml" else 3)
    assert told in findings[0]["what"]
    assert all(finding["mend"] or "deckwright.toml" in finding["what"] for finding in findings)
    assert text == "not toml" or any("ZeroDivisionError" in finding["what"] for finding in findings)


def test_strict_ends_other_commands_and_not_the_doctor(doctor: Any, run: Run) -> None:
    code, findings = doctor(rest=REST.replace("[plugins]", '[plugins]\nstrict = true\ndisable = ["nobody"]'))
    assert (code, "nobody" in one(findings)["what"]) == (3, True)
    done = run("check")
    assert (done.code, "there is no plugin 'nobody'" in done.err) == (1, True)


def test_what_is_only_worth_knowing_is_a_note(doctor: Any, run: Run) -> None:
    Path("mine.py").write_text(PLUGIN.replace('"poor"', '"pico"'))
    code, findings = doctor(rest=REST.replace('"odd.py"', '"mine.py"'))
    [finding] = findings
    assert (code, finding["is_problem"]) == (0, False)
    assert "the built-in one stays" in finding["what"]
    done = run("doctor")
    assert done.out.startswith("Note: plugin mine (file ")
    assert done.out.endswith("All is well.\n")


class TestMissingPackages:
    def test_of_an_extra_that_is_installed_none(self) -> None:
        assert missing_packages("deckwright[offline]") == []

    def test_an_extra_or_package_that_is_not_there(self) -> None:
        assert missing_packages("no-such-distribution[x]") == ["no-such-distribution[x]"]

    def test_of_an_extra_those_that_are_not_there_or_too_old(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        info = tmp_path / "acme_bells-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: acme-bells\nVersion: 1\n"
            "Requires-Dist: attrs\nRequires-Dist: nothing-at-all>=2\n"
            "Requires-Dist: attrs>=1000; extra == 'fine'\nRequires-Dist: pluggy; extra == 'fine'\n"
            "Requires-Dist: no-such-package>=2; extra == 'fine'\nRequires-Dist: other; extra == 'more'\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        assert missing_packages("acme-bells[fine]") == ["attrs>=1000", "no-such-package>=2"]
        assert missing_packages("acme-bells") == []

    def test_what_is_no_requirement_says_nothing(self) -> None:
        assert missing_packages("see the manual") == []
