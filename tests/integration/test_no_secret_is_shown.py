"""Every failure of every online provider is provoked, and the keys are hunted for in all that anyone can see."""

from __future__ import annotations

import html
import json
import logging
import traceback
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import pytest
from fake_anki.server import AnkiServer

from deckwright import MediaRequest, ProviderRegistry, build_deck
from deckwright.cli.report import report_as_dict
from deckwright.preview import write_preview
from deckwright.testing.servers import (
    Dropped,
    ForvoServer,
    GzipBomb,
    HtmlPage,
    LostReply,
    OpenAIServer,
    Oversized,
    Received,
    Redirect,
    Reply,
    RunwareServer,
    Slow,
    Truncated,
    forvo,
    openai,
    runware,
)

# With all that URLs, JSON and Python write differently.
KEY = 'k3y-"of/a%real+kind\\&7f3a=='
FORMS = {KEY, quote(KEY), quote(KEY, safe=""), json.dumps(KEY)[1:-1], repr(KEY)[1:-1]}
WORDS = [{"word": "hola", "language": "es", "translation": "hello"}, {"word": "agua", "language": "es"}]

# A service that repeats the key in all that it says.
ECHOES = [
    Reply.of_json(
        {"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}}, 401
    ),
    Reply.of_json({"errors": [{"code": "invalidApiKey", "message": f"No such key: {KEY}"}]}, 401),
    Reply.of_json([f"Calling from incorrect domain, {KEY}."], 400),
    Reply(500, f"<p>internal error at /key/{quote(KEY, safe='')}/".encode()),
    Reply(418, KEY.encode(), {"X-Key": KEY}),
    Redirect(f"http://127.0.0.1:9/lost?key={quote(KEY, safe='')}"),
    Reply.of_json({"result": None, "error": f"unknown key {KEY}"}),
]
# They repeat nothing, and one client meets them for all services: only the one whose key is in its URLs has them all.
SOME = [Reply(401), Slow(3600), Dropped(), HtmlPage()]
OTHERS = [
    Reply(403),
    Reply(404),
    Reply(429, headers={"Retry-After": "0"}),
    Reply(429, headers={"Retry-After": "7200"}),
    Reply(503),
    Reply(504),
    Truncated(),
    Dropped(after=0),
    Dropped(reset=True),
    LostReply(),
    Oversized(200_000_000),
    GzipBomb(101_000_000),  # just above the limit
]


def named_faults(module: Any) -> list[Any]:
    return [value for name, value in vars(module).items() if name.isupper() and hasattr(value, "apply")]


def asks_for_a_file(received: Received) -> bool:
    return received.method == "GET" and ("/audio/" in received.path or "/image/" in received.path)


@attrs.frozen
class Service:
    """A service, the type of what it provides, and the settings that lead to it."""

    name: str
    type: str
    server: Callable[[], Any]
    faults: list[Any]

    def config(self, server: Any) -> dict[str, Any]:
        address = {"url": server.url} if self.name == "anki" else {"base_url": server.base_url}
        settings = {
            **address,
            "pipelines": ["*"],
            "api_key": KEY,
            "max_retries": 0,
            "longest_wait": 0,
            "timeout": 0.1,
        }
        providers: dict[str, Any] = {
            "data": {"csv": {"pipelines": ["*"]}},
            "sync": {"apkg": {"pipelines": ["*"]}},
        }
        providers.setdefault(self.type, {})
        providers[self.type] = {self.name: settings}
        return {"providers": providers}


SERVICES = [
    Service("forvo", "audio", lambda: ForvoServer(KEY), [*named_faults(forvo), *OTHERS]),
    Service("openai", "image", lambda: OpenAIServer(KEY), named_faults(openai)),
    Service("runware", "image", lambda: RunwareServer(KEY), named_faults(runware)),
    Service("anki", "sync", lambda: AnkiServer(key=KEY, tick=0), []),
]
CASES = [
    pytest.param(service, fault, id=f"{service.name}-{place}-{type(fault).__name__}")
    for service in SERVICES
    for place, fault in enumerate([None, *ECHOES, *SOME, *service.faults])
]


class Hunt:
    """Gathers all that is shown anywhere, and looks for the key in it."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.caplog = caplog
        self.seen: list[str] = []

    def see(self, *things: object) -> None:
        self.seen += [text for thing in things for text in (str(thing), repr(thing))]

    def see_error(self, error: BaseException) -> None:
        self.see(error, error.args, "".join(traceback.format_exception(error)))
        while (inner := error.__cause__ or error.__context__) is not None:
            self.see(inner, inner.args)
            error = inner

    def found(self) -> list[str]:
        records = [
            logging.Formatter("%(message)s").format(record) + repr(record.args) + str(record.msg)
            for record in self.caplog.records
        ]
        return [text for text in [*self.seen, *records] if any(form in text for form in FORMS)]


@pytest.fixture
def hunt(caplog: pytest.LogCaptureFixture) -> Iterator[Hunt]:
    caplog.set_level(logging.DEBUG)
    for name in ("deckwright", "httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    return Hunt(caplog)


@pytest.mark.parametrize(("service", "fault"), CASES)
def test_the_key_is_nowhere(service: Service, fault: Any, hunt: Hunt, tmp_path: Path) -> None:
    with service.server() as server:
        config = service.config(server)

        def again() -> None:
            server.clear_faults()
            if fault is not None:
                server.fail(fault, times=None)

        again()
        with ProviderRegistry.from_config(config) as registry:
            provider = registry.get(service.type, service.name)
            hunt.see(
                registry,
                registry.failures,
                registry.warnings,
                registry.config,
                provider,
                provider.config_class,
            )
            try:
                hunt.see(provider.check_connection())
            except Exception as error:
                hunt.see_error(error)
            if service.type != "sync":
                request = MediaRequest(service.type, "hola", {"language": "es"}, tmp_path / "made.bin")
                result = provider.generate_media(request)
                hunt.see(result, request)
                if result.failure:
                    hunt.see_error(result.failure)
                hunt.see(*provider.generate_batch([request, request]))
            else:
                hunt.see(provider.test_connection())
            # The API itself goes well, and then the file does not.
            if fault is not None and service.type != "sync":
                server.clear_faults()
                server.fail(fault, times=None, when=asks_for_a_file)
                hunt.see(provider.generate_media(request))
        again()
        if fault is None or fault in ECHOES:
            output = None if service.type == "sync" else tmp_path / "a.apkg"
            try:
                report = build_deck(WORDS, config=config, output=output)
                hunt.see(report, json.dumps(report_as_dict(report), default=str))
            except Exception as error:
                hunt.see_error(error)
    assert hunt.seen
    assert hunt.found() == []
    leftovers = [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")]
    assert leftovers == []


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_the_hunt_would_find_it(service: Service, hunt: Hunt) -> None:
    with service.server() as server:
        settings: Mapping[str, Any] = service.config(server)["providers"][service.type][service.name]
    hunt.see(settings)
    assert hunt.found()


# A plugin's own provider, which says its key wherever it can: to a word that it refuses, and to one that it breaks at.
TALKER = """
from deckwright import ContentPolicyError, MediaProvider, MediaResult, hookimpl

class Talker(MediaProvider):
    supported_types = ("audio", "image")

    def _generate_media_impl(self, request):
        key = self.config["api_key"]
        if request.content == "hola":
            raise ContentPolicyError(f"not with {key}", hint=f"Try another than {key}.")
        if request.content == "agua":
            raise RuntimeError(f"broken at {key}")
        request.target.write_bytes(b"ID3 sound" if request.type == "audio" else b"GIF89a;")
        credit = f"by a friend of {key}" if self.config.get("is_credited") else ""
        return MediaResult(True, request.target, {"attribution": credit, "cost": 0.01})

@hookimpl
def register_media_provider(type, name, config):
    return Talker(config) if type in ("audio", "image") and name == "talker" else None
"""


def left_by_builds(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every file in a folder by its path, and what is in it; of packages, what is in those."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as package:
                    yield from ((name, package.read(name)) for name in package.namelist())


def talking(folder: Path, **settings: Any) -> dict[str, Any]:
    """Return a configuration with the talker, whose plugin is beside a folder."""
    plugin = folder.with_name(f"{folder.name}-talker.py")
    plugin.write_text(TALKER, encoding="utf-8")
    own = {"pipelines": ["*"], "api_key": KEY, **settings}
    others = {"data": {"csv": {"pipelines": ["*"]}}, "sync": {"apkg": {"pipelines": ["*"]}}}
    return {
        "plugins": {"paths": [str(plugin)], "installed": False},
        "providers": {"audio": {"talker": own}, "image": {"talker": own}, **others},
    }


def shown_in(*folders: Path) -> list[str]:
    """Return the files that hold the key, or have it in their names."""
    forms = [form.encode() for form in (*FORMS, html.escape(KEY))]
    return [
        path
        for folder in folders
        for path, data in left_by_builds(folder)
        if any(form in path.encode() + data for form in forms)
    ]


@pytest.mark.parametrize("name", ["talker", "forvo", "openai", "runware"])
def test_nor_is_it_in_what_a_build_leaves(
    name: str, tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger and the names in the store, the report, the deck, and the page that shows it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.csv").write_text("word,language\nhola,es\nagua,es\nperro,es\n", encoding="utf-8")
    with ExitStack() as stack:
        if name == "talker":
            config = talking(tmp_path)
        else:
            [service] = [each for each in SERVICES if each.name == name]
            server = stack.enter_context(service.server())
            config = service.config(server)
            config["providers"][service.type][name] |= {"timeout": 5, "max_concurrent": 1}
            for echo in ECHOES[:4]:
                server.fail(echo, when=lambda received: received.method == "POST" or name == "forvo")
        reports = [build_deck("words.csv", config=config, output="deck.apkg") for _ in range(5)]
    assert any(report.missing for report in reports)
    assert any(sum(count for count, _ in report.delivered.values()) for report in reports)
    Path("report.json").write_text(json.dumps(report_as_dict(reports[0]), default=str), encoding="utf-8")
    write_preview(Path("report.json"), Path("page.html"))
    left = {Path(path).name for folder in (store, tmp_path) for path, _ in left_by_builds(folder)}
    assert {"ledger.sqlite", "report.json", "page.html", "deck.apkg"} <= left
    assert shown_in(store, tmp_path) == []


def test_nor_is_it_in_the_credit_that_a_provider_gives(tmp_path: Path, store: Path) -> None:
    report = build_deck(
        ["perro"], language="es", config=talking(tmp_path, is_credited=True), output=tmp_path / "deck.apkg"
    )
    assert report.delivered == {"sounds": (1, 1), "pictures": (1, 1)}
    write_preview(tmp_path / "deck.apkg")
    assert shown_in(store, tmp_path) == []
