"""`deckwright check --online` and `deckwright estimate`, against local servers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import pytest
from fake_anki.server import AnkiServer

from deckwright.testing.servers import ForvoServer, OpenAIServer, RunwareServer

Run = Callable[..., Any]

CONFIG = """
[providers.data.csv]
pipelines = ["*"]
[providers.audio.forvo]
pipelines = ["*"]
api_key = "${{FORVO_API_KEY}}"
base_url = "{forvo}"
[providers.image.runware]
pipelines = ["*"]
api_key = "${{RUNWARE_API_KEY}}"
base_url = "{runware}"
[providers.image.openai]
pipelines = ["*"]
api_key = "${{OPENAI_API_KEY}}"
base_url = "{openai}"
cost_per_image = 0.25
cost_limits = {{ daily_limit_usd = 1.0, warn_threshold_usd = 0.4 }}
[providers.sync.anki]
pipelines = ["*"]
url = "{anki}"
[apis.base]
max_retries = 0
"""


@attrs.frozen
class Services:
    forvo: ForvoServer
    openai: OpenAIServer
    runware: RunwareServer
    anki: AnkiServer


@pytest.fixture
def services(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """All four services, a configuration `online.toml` that uses them, and a list of two words."""
    with ExitStack() as stack:
        made = Services(ForvoServer(), OpenAIServer(), RunwareServer(), AnkiServer(tick=0))
        for server in (made.forvo, made.openai, made.runware, made.anki):
            stack.enter_context(server)
        for name in ("forvo", "openai", "runware"):
            monkeypatch.setenv(f"{name.upper()}_API_KEY", getattr(made, name).key)
        urls = {name: getattr(made, name).base_url for name in ("forvo", "openai", "runware")}
        (folder / "online.toml").write_text(CONFIG.format(**urls, anki=made.anki.url), encoding="utf-8")
        (folder / "spanish.csv").write_text("word,translation\nhola,hello\nagua,water\n", encoding="utf-8")
        yield made


def test_every_connection_is_tried_and_told(run: Run, services: Services) -> None:
    done = run("check", "--online", "online.toml")
    assert (done.code, done.err) == (0, "")
    assert "audio.forvo: the key is accepted (this used one request of your plan)\n" in done.out
    assert "image.runware: the key is accepted; the balance is 100.0 USD\n" in done.out
    assert "image.openai: the key is accepted, and gpt-image-2.6-sunburst is available\n" in done.out
    assert "sync.anki: Anki answers, with the profile 'User 1' open\n" in done.out
    assert services.forvo.used == 1
    assert services.openai.images_made == 0
    assert services.runware.spent == 0


def test_without_online_nobody_is_asked(run: Run, services: Services) -> None:
    assert run("check", "online.toml").code == 0
    for server in attrs.astuple(services, recurse=False):
        assert server.requests == []


def test_what_does_not_work_is_told_with_what_to_do_and_the_rest_goes_on(
    run: Run, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORVO_API_KEY", "a-wrong-key")
    services.anki.stop()
    done = run("check", "--online", "online.toml")
    assert done.code == 3
    assert "audio.forvo: Forvo refuses the key" in done.err
    assert "Check api_key, and set `plan`" in done.err
    assert f"sync.anki: Anki cannot be reached at {services.anki.url}." in done.err
    assert "Start Anki, with the add-on AnkiConnect" in done.err
    assert "image.openai: the key is accepted" in done.out
    assert "a-wrong-key" not in done.out + done.err


def test_the_same_for_programs(run: Run, services: Services) -> None:
    services.anki.stop()
    shown = json.loads(run("check", "--online", "--json", "online.toml").out)
    assert list(shown["online"]) == ["data.csv", "audio.forvo", "image.runware", "image.openai"]
    [problem] = shown["problems"]
    assert problem.startswith("sync.anki: Anki cannot be reached")


def test_offline_providers_have_nothing_to_reach_or_say_so(run: Run, folder: Path) -> None:
    done = run("check", "--online")
    assert (done.code, done.err) == (0, "")
    assert "sync.apkg: can be reached\n" in done.out


def test_an_estimate_says_what_a_build_would_cost_and_spends_nothing(run: Run, services: Services) -> None:
    done = run("estimate", "spanish.csv", "-c", "online.toml")
    assert done.code == 0
    rows = {line.split()[1]: line.split() for line in done.out.splitlines() if len(line.split()) == 7}
    assert rows["forvo"] == ["audio", "forvo", "first", "2", "4", "$0.00", "$0.00"]
    assert rows["runware"] == ["image", "runware", "first", "2", "2", "$0.0014", "$0.0027"]
    assert rows["openai"] == ["image", "openai", "then", "2", "2", "$0.25", "$0.50"]
    assert "Expected cost: about $0.0027" in done.out
    assert "If the most expensive had to make them all: about $0.50." in done.out
    assert "image.openai: $0.50 is above its warn_threshold_usd of $0.40" in done.err
    assert "daily_limit_usd" not in done.err
    for server in attrs.astuple(services, recurse=False):
        assert server.requests == []


def test_an_estimate_may_ask_for_the_price(run: Run, services: Services) -> None:
    done = run("estimate", "spanish.csv", "-c", "online.toml", "--online", "--json")
    shown = json.loads(done.out)
    [runware] = [found for found in shown["providers"] if found["instance"] == "runware"]
    assert runware["total"] == pytest.approx(2 * 0.001357)
    assert shown["expected"] == runware["total"]
    assert services.runware.spent == 0
    assert [request.headers["x-runware-dry-run"] for request in services.runware.requests] == ["1"]


def test_a_price_that_cannot_be_asked_is_not_known(run: Run, services: Services) -> None:
    services.runware.stop()
    done = run("estimate", "spanish.csv", "-c", "online.toml", "--online")
    assert done.code == 0
    assert "image  runware   first  2    2         ?      ?" in done.out
    assert "image.runware: 127.0.0.1 cannot be reached" in done.err


def test_a_build_through_all_four(run: Run, services: Services) -> None:
    done = run("build", "spanish.csv", "-c", "online.toml")
    assert (done.code, done.err) == (0, "")
    assert "The deck went to anki (2 notes added, 0 updated, 0 unchanged).\n" in done.out
    assert "$0.0027" in done.out
    notes = {note.fields["Word"]: note.fields for note in services.anki.notes()}
    assert set(notes) == {"hola", "agua"}
    assert "Pronounced by" in notes["hola"]["Credit"]
    assert len(services.anki.media()) == 4
    assert services.runware.downloads_with_key == 0


def test_a_sound_that_is_spent_goes_to_the_next_provider(run: Run, services: Services, folder: Path) -> None:
    services.forvo.quota = 2  # one word
    config = (folder / "online.toml").read_text(encoding="utf-8")
    one_by_one = config.replace("[providers.audio.forvo]", "[providers.audio.forvo]\nmax_concurrent = 1")
    espeak = '[providers.audio.espeak]\npipelines = ["*"]\n'
    (folder / "online.toml").write_text(one_by_one + espeak, encoding="utf-8")
    done = run("build", "spanish.csv", "-c", "online.toml", "--json")
    assert json.loads(done.out)["sounds"] == 2
    # Once it has said so, it is not asked again.
    assert len(services.forvo.requests) == 3
