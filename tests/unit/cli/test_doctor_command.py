"""`deckwright doctor`: each thing that is wrong, or will be, with its place and the mend."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deckwright.toolkit.install_hints import missing_packages

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
        if self.config.get("hangs"):
            __import__("threading").Event().wait()
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
    [problem] = [finding for finding in findings if finding["severity"] == "error"]
    return problem


def test_where_all_is_well_it_says_so(run: Run, folder: Path) -> None:
    done = run("doctor")
    assert (done.code, done.out, done.err) == (0, "No problem found.\n", "")
    assert json.loads(run("doctor", "--json").out) == []


@pytest.mark.parametrize(
    ("provider", "settings", "about", "what", "mend"),
    [
        ("audio.odd", "breaks = true", "providers.audio.odd", "KeyError: 'nothing here'", 'disable = ["odd"]'),
        ("audio.odd", "", "providers.audio.odd", "LookupError: lost in the works", "disable"),
        ("audio.far", "sticks = true", "providers.audio.far", "cannot be closed: OSError: the door sticks", "disable"),
        ("audio.poor", "", "providers.audio.poor", "needs no-such-distribution[fine]", "pip install"),
        ("audio.pico", "speed = 9000", "audio.pico.speed", "9000 is not allowed", "Correct it"),
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
    told = f"{finding['where']}: {finding['message']}"
    assert (code, about in told, what in finding["message"], mend in finding["hint"]) == (
        3,
        True,
        True,
        True,
    ), finding
    if provider == "audio.odd":
        assert "odd.py:" in f"{finding}"


def test_a_provider_that_never_comes_back_is_told(doctor: Any) -> None:
    code, findings = doctor(
        "audio.odd", "hangs = true", REST.replace("[plugins]", "[plugins]\ntime_limit = 0.02")
    )
    finding = one(findings)
    assert (code, "generate_media took longer than 0.4 s" in finding["message"]) == (3, True)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_so_is_a_folder_out_of_reach(doctor: Any) -> None:
    Path("closed").mkdir(mode=0o500)
    _, findings = doctor("data.json", 'base_path = "closed/words"')
    assert "cannot be made in" in one(findings)["message"]


@pytest.mark.parametrize(("provider", "settings"), [("audio.far", ""), ("audio.odd", 'api_key = "a-key"')])
def test_what_may_cost_something_is_not_tried(doctor: Any, provider: str, settings: str) -> None:
    code, [finding] = doctor(provider, settings)
    assert (code, finding["severity"] == "error", "was not tried: it " in finding["message"]) == (
        0,
        False,
        True,
    )
    assert not Path("asked").exists()


@pytest.mark.parametrize(
    ("build", "word"), [("", "apple"), ("language = 'es'", "manzana"), ("language = 'cy'", "apple")]
)
def test_it_is_tried_with_a_word_of_the_builds_language(doctor: Any, build: str, word: str) -> None:
    doctor("audio.odd", rest=f"[build]\n{build}\n{REST}")
    assert Path("asked").read_text() == word


ANSWERS = """
import threading
from deckwright import InvalidRequestError, MediaProvider, MediaResult, ProviderError, hookimpl

class Answer(MediaProvider):
    supported_types = ("audio",)

    def _generate_media_impl(self, request):
        ANSWER

@hookimpl
def register_media_provider(type, name, config):
    return Answer(config) if name == "odd" else None
"""


@pytest.mark.parametrize(
    ("answer", "faults"),
    [
        ('return MediaResult(False, error="not in my dictionary")', 0),
        ('raise InvalidRequestError("too short")', 0),
        ('raise ProviderError("the engine is broken")', 1),
        ("return MediaResult(True)", 1),
        # As long as a build would give it, and longer than it may take for anything else.
        ('threading.Event().wait(0.5); return MediaResult(False, error="nothing")', 0),
    ],
)
def test_to_have_nothing_for_a_word_or_to_be_slow_is_no_fault(
    run: Run, folder: Path, answer: str, faults: int
) -> None:
    Path("odd.py").write_text(ANSWERS.replace("ANSWER\n", f"{answer}\n"))
    rest = REST.replace("[plugins]", "[plugins]\ntime_limit = 0.4")
    Path("deckwright.toml").write_text(f'{rest}[providers.audio.odd]\npipelines = ["*"]\n')
    done = run("doctor", "--json")
    assert [finding["where"] for finding in json.loads(done.out)] == ["providers.audio.odd"] * faults


def test_whatever_a_provider_is_the_other_findings_stay(doctor: Any, run: Run) -> None:
    doctor("audio.odd", "sticks = true", REST + '[providers.audio.fornvo]\npipelines = ["*"]\n')
    Path("odd.py").write_text(f"{PLUGIN}\nOdd.settings = property(lambda self: 1 / 0)\n")
    done = run("doctor")
    for part in ("providers.audio.odd: cannot be examined: ZeroDivisionError", "fornvo", "the door sticks"):
        assert part in done.out


def test_a_wrong_section_build_is_told_beside_the_rest(doctor: Any) -> None:
    code, findings = doctor("audio.fornvo", rest=f"[build]\npipeline = 5\n{REST}")
    assert code in (2, 3)
    assert any("build.pipeline" in finding["where"] for finding in findings)


def test_a_path_that_cannot_be_looked_at_is_out_of_reach(doctor: Any) -> None:
    _, findings = doctor("data.json", f'base_path = "{"x" * 300}/words"')
    assert "base_path: " in one(findings)["message"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_so_is_a_deck_that_cannot_be_replaced(doctor: Any) -> None:
    Path("kept.apkg").touch(0o444)
    rest = REST.replace("[providers.sync.apkg]", '[providers.sync.apkg]\npath = "kept.apkg"')
    _, findings = doctor(rest=rest)
    assert "cannot be written" in one(findings)["message"]


def test_a_conflict_is_told_once_where_a_provider_failed_of_it(doctor: Any) -> None:
    Path("a.py").write_text(PLUGIN)
    _, findings = doctor("audio.odd", rest=REST.replace('["odd.py"]', '["odd.py", "a.py"]'))
    assert len([finding for finding in findings if "'odd' is offered by" in finding["message"]]) == 1


PRINTS = """
import io, sys, threading
from deckwright import SyncProvider, SyncResult, hookimpl

sys.stdout.writelines(["lines"])
sys.stdout.buffer.write(b"bytes s3cr3t-value")
bare = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
print("wrapped", file=bare, flush=True)
del bare
sys.stdout.reconfigure(encoding="utf-8")

class Loud(SyncProvider):
    def _test_connection_impl(self):
        print("key: s3cr3t-value")
        threads = [threading.Thread(target=print, args=("late s3cr3t-value",))]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        return True

    def _sync_cards_impl(self, cards):
        return SyncResult(True, len(cards))

@hookimpl
def register_media_provider(type, name, config):
    return Loud(config) if name == "loud" else None
"""


def test_there_is_no_way_round_the_mask(run: Run, folder: Path) -> None:
    Path("loud.py").write_text(PRINTS)
    settings = '[providers.sync.loud]\npipelines = ["*"]\napi_key = "s3cr3t-value"\n'
    Path("deckwright.toml").write_text(REST.replace("odd.py", "loud.py") + settings)
    done = run("check", "--online", "--json")
    assert (done.code, "sync.loud" in json.loads(done.out)["online"]) == (0, True)
    for part in ("lines", "bytes ***", "wrapped", "key: ***", "late ***"):
        assert part in done.err
    assert "s3cr3t" not in done.out + done.err
    print("the streams are back")
    assert run("init", "--dry-run").out.startswith("the streams are back\n")


def test_what_is_free_is_tried_with_a_word(doctor: Any) -> None:
    doctor("audio.odd")
    assert Path("asked").read_text() == "apple"


def test_code_that_prints_a_secret_is_named_and_the_secret_is_not_shown(doctor: Any, run: Run) -> None:
    code, findings = doctor("audio.far", 'prints = true\napi_key = "s3cr3t-value"')
    finding = one(findings)
    assert (code, finding["where"], finding["file"]) == (
        3,
        "providers.audio.far",
        str(Path("odd.py").absolute()),
    )
    assert finding["message"].startswith("a secret of it is printed [plugin odd ")
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
    told = {finding["message"]: finding for finding in findings}
    assert code == 3
    fault = next(finding for what, finding in told.items() if "ZeroDivisionError" in what)
    assert "broken.py:2" in fault["message"]
    assert fault["hint"] == 'Fix it, or disable it: [plugins] disable = ["broken"].'
    conflict = next(finding for what, finding in told.items() if "'odd' is offered by a (" in what)
    assert '[plugins] prefer = ["a"]' in conflict["hint"]
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
    assert told in findings[0]["message"]
    assert all(finding["hint"] or "deckwright.toml" in finding["message"] for finding in findings)
    assert text == "not toml" or any("ZeroDivisionError" in finding["message"] for finding in findings)


def test_strict_ends_other_commands_and_not_the_doctor(doctor: Any, run: Run) -> None:
    code, findings = doctor(rest=REST.replace("[plugins]", '[plugins]\nstrict = true\ndisable = ["nobody"]'))
    assert (code, "nobody" in one(findings)["message"]) == (3, True)
    done = run("check")
    assert (done.code, "there is no plugin 'nobody'" in done.err) == (1, True)


def test_what_is_only_worth_knowing_is_a_note(doctor: Any, run: Run) -> None:
    Path("mine.py").write_text(PLUGIN.replace('"poor"', '"pico"'))
    code, findings = doctor(rest=REST.replace('"odd.py"', '"mine.py"'))
    [finding] = findings
    assert (code, finding["severity"] == "error") == (0, False)
    assert "the built-in one stays" in finding["message"]
    done = run("doctor")
    assert done.out.startswith("Note: plugin mine (file ")
    assert done.out.endswith("No problem found.\n")


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

    def test_the_package_itself_may_be_too_old(self) -> None:
        assert missing_packages("attrs>=20") == []
        assert missing_packages("attrs>=999") == ["attrs>=999"]
        assert missing_packages("deckwright[offline]>=999") == ["deckwright[offline]>=999"]

    def test_what_is_no_requirement_says_nothing(self) -> None:
        assert missing_packages("see the manual") == []
