"""The imitation of Anki: it behaves like the real Anki, and like both releases of the add-on.

This is the one place where the collection in memory is compared with that of the real Anki. All other tests use
the one in memory.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import genanki
import httpx
import pytest
from fake_anki.actions import MEASURED, Costs
from fake_anki.collection import AnkiCollection
from fake_anki.memory import MemoryCollection
from fake_anki.real_collection import RealCollection
from fake_anki.server import AnkiRefusal, AnkiServer, is_call_of

from deckwright.testing.servers.base import Reply
from deckwright.testing.servers.faults import Dropped, Slow

NEW, OLD = "25.11.9", "23.10.29"
DUPLICATE = "cannot create note because it is a duplicate"
EMPTY = "cannot create note because it is empty"


class Client:
    """A client as it should be: one connection a request."""

    def __init__(self, server: AnkiServer) -> None:
        self.server = server

    def post(self, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
        return httpx.post(self.server.url, content=body, headers=headers, trust_env=False, verify=False)

    def send(self, request: Any) -> Any:
        response = self.post(json.dumps(request).encode())
        assert response.status_code == 200
        return response.json()

    def __call__(self, action: str, **params: Any) -> Any:
        reply = self.send({"action": action, "version": 6, "params": params})
        assert reply["error"] is None, reply
        return reply["result"]

    def error(self, action: str, **params: Any) -> str:
        reply = self.send({"action": action, "version": 6, "params": params})
        assert reply["result"] is None
        assert isinstance(reply["error"], str)
        return reply["error"]


Start = Callable[..., Client]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda *args, **kwargs: Client(stack.enter_context(AnkiServer(*args, **{"tick": 0, **kwargs})))


@pytest.fixture(params=[NEW, OLD])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[MemoryCollection, RealCollection])
def collection(request: pytest.FixtureRequest) -> Iterator[AnkiCollection]:
    with request.param() as made:
        yield made


# A release decides what the add-on does, not what a collection does.
@pytest.fixture(params=[(MemoryCollection, NEW), (MemoryCollection, OLD), (RealCollection, NEW)])
def anki(start: Start, request: pytest.FixtureRequest) -> Iterator[Client]:
    """Either collection, and either release, with a deck and a note type."""
    make, version = request.param
    with make() as collection:
        yield prepared(start(collection, version=version))


def prepared(client: Client) -> Client:
    client("createDeck", deck="Spanish")
    create_word(client)
    return client


def create_word(client: Client, name: str = "Word") -> Any:
    templates = [
        {"Name": "Recognise", "Front": "{{Word}}", "Back": "{{Translation}}"},
        {"Name": "Listen", "Front": "{{#Sound}}{{Sound}}{{/Sound}}", "Back": "{{Word}}"},
    ]
    fields = ["Word", "Translation", "Sound"]
    return client(
        "createModel", modelName=name, inOrderFields=fields, cardTemplates=templates, css=".card {}"
    )


def note(word: str, deck: str = "Spanish", model: str = "Word", **more: Any) -> dict[str, Any]:
    return {"deckName": deck, "modelName": model, "fields": {"Word": word, "Translation": "x"}, **more}


def words(client: Client) -> list[str]:
    return [stored.fields["Word"] for stored in client.server.notes()]


class TestEnvelope:
    @pytest.fixture
    def anki(self, start: Start, version: str) -> Client:
        return start(version=version)

    def test_results_and_errors_both_have_status_200(self, anki: Client) -> None:
        assert anki.send({"action": "version", "version": 6}) == {"result": 6, "error": None}
        assert anki.send({"action": "x", "version": 6}) == {"result": None, "error": "unsupported action"}

    @pytest.mark.parametrize("request_version", [{}, {"version": 4}])
    def test_up_to_version_4_a_result_is_bare_and_an_error_is_not(
        self, anki: Client, request_version: dict[str, int]
    ) -> None:
        assert anki.send({"action": "deckNames", **request_version}) == ["Default"]
        assert anki.send({"action": "x", **request_version}) == {
            "result": None,
            "error": "unsupported action",
        }

    @pytest.mark.parametrize(("theirs", "ours"), [("secret", None), ("secret", "other"), (None, "secret")])
    def test_a_key_must_be_equal_even_where_none_is_set(
        self, anki: Client, theirs: str | None, ours: str | None
    ) -> None:
        anki.server.anki.key = theirs
        request = {"action": "version", "version": 6, **({"key": ours} if ours else {})}
        assert anki.send(request)["error"] == "valid api key must be provided"
        assert anki.send({**request, "key": theirs})["result"] == 6

    @pytest.mark.parametrize("key", ["secret", None])
    def test_permission_needs_no_key(self, anki: Client, key: str | None) -> None:
        anki.server.anki.key = key
        expected = {"permission": "granted", "requireApikey": bool(key), "version": 6}
        assert anki("requestPermission") == expected

    def test_an_empty_body_gets_a_banner(self, anki: Client) -> None:
        assert anki.post(b"").text == "AnkiConnect v.6"

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            (b"{", "Expecting property name"),
            (b"[]", "is not of type 'object'"),
            (b"{}", "'action' is a required property"),
            (b'{"action": 1}', "1 is not of type 'string'"),
            (b'{"action": "version", "version": "6"}', "'6' is not of type 'integer'"),
            (b'{"action": "version", "params": []}', "[] is not of type 'object'"),
        ],
    )
    def test_what_is_no_request_gets_an_error(self, anki: Client, body: bytes, error: str) -> None:
        response = anki.post(body)
        assert response.status_code == 200
        assert error in response.json()["error"]

    def test_wrong_parameters_get_the_error_of_python(self, anki: Client) -> None:
        assert "got an unexpected keyword argument 'name'" in anki.error("createDeck", name="x")
        assert "missing 1 required positional argument: 'deck'" in anki.error("createDeck")

    def test_an_origin_is_refused_without_a_word(self, anki: Client) -> None:
        response = anki.post(b'{"action": "version"}', {"Origin": "https://example.com"})
        assert (response.status_code, response.content) == (403, b"")
        assert anki.post(b'{"action": "version"}', {"Origin": "http://localhost"}).json() == 6

    @pytest.mark.parametrize(
        ("protocol", "expected"),
        [(6, {"result": {"permission": "denied"}, "error": None}), (4, {"permission": "denied"})],
    )
    def test_an_origin_may_ask_for_permission(self, anki: Client, protocol: int, expected: Any) -> None:
        body = json.dumps({"action": "requestPermission", "version": protocol}).encode()
        assert anki.post(body, {"Origin": "https://example.com"}).json() == expected

    def test_each_part_of_multi_needs_its_own_version_and_key(self, anki: Client) -> None:
        anki.server.anki.key = "secret"
        parts = [
            {"action": "version", "version": 6, "key": "secret"},
            {"action": "version", "key": "secret"},
            {"action": "version", "version": 6},
            {"action": "modelFieldNames", "version": 6, "key": "secret", "params": {"modelName": "x"}},
            {"action": "nothing", "key": "secret"},
        ]
        request = {"action": "multi", "version": 6, "key": "secret", "params": {"actions": parts}}
        assert anki.send(request) == {
            "result": [
                {"result": 6, "error": None},
                6,
                {"result": None, "error": "valid api key must be provided"},
                {"result": None, "error": "model was not found: x"},
                {"result": None, "error": "unsupported action"},
            ],
            "error": None,
        }
        assert [call.action for call in anki.server.calls] == [
            "multi",
            "version",
            "version",
            "modelFieldNames",
            "nothing",
        ]

    def test_reflection_differs_between_the_releases(self, anki: Client, version: str) -> None:
        names = ["canAddNotes", "canAddNotesWithErrorDetail", "nothing"]
        newer = ["canAddNotesWithErrorDetail"] if version == NEW else []
        reflected = anki("apiReflect", scopes=["actions"], actions=names)
        assert reflected == {"scopes": ["actions"], "actions": ["canAddNotes", *newer]}
        assert "multi" in anki("apiReflect", scopes=["actions"])["actions"]
        assert anki("apiReflect", scopes=["other"]) == {"scopes": []}
        assert anki.error("apiReflect", scopes="actions") == "scopes has invalid value"
        if version == OLD:
            assert anki.error("canAddNotesWithErrorDetail", notes=[]) == "unsupported action"

    def test_an_older_protocol(self, start: Start) -> None:
        assert start(protocol=5)("version") == 5


class TestTransport:
    def test_a_pooled_client_loses_requests_and_one_connection_a_request_loses_none(
        self, start: Start
    ) -> None:
        anki = start()
        lost = 0
        with httpx.Client(trust_env=False) as pooled:
            for _ in range(60):
                try:
                    pooled.post(anki.server.url, json={"action": "version"})
                except httpx.TransportError:
                    lost += 1
        assert lost >= 8
        assert [anki("version") for _ in range(60)] == [6] * 60

    def test_the_reply_does_not_say_that_the_connection_ends(self, start: Start) -> None:
        response = start().post(b'{"action": "version"}')
        assert "connection" not in response.headers
        assert response.headers["content-length"] == "1"

    def test_the_standard_library_gets_through(self, start: Start) -> None:
        anki = start()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for _ in range(5):
            with opener.open(anki.server.url, data=b'{"action": "version"}') as response:
                assert response.read() == b"6"

    def test_a_chunked_body_is_read_as_none(self, start: Start) -> None:
        anki = start()
        body = (part for part in (b'{"action":', b' "version"}'))
        assert (
            httpx.post(anki.server.url, content=body, trust_env=False, verify=False).text == "AnkiConnect v.6"
        )
        assert anki.server.requests[0].body == b""

    @pytest.mark.parametrize(
        ("header", "expected"), [("Content-Length: 21", b"6"), ("Content-Length:21", b"AnkiConnect v.6")]
    )
    def test_a_length_without_a_space_is_read_as_none(
        self, start: Start, header: str, expected: bytes
    ) -> None:
        anki = start()
        with connected(anki) as client:
            client.sendall(f'POST / HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n{{"action": "version"}}'.encode())
            assert received(client).endswith(expected)

    def test_half_a_request_holds_up_all_others_until_it_is_given_up(self, start: Start) -> None:
        anki = start(patience=0.2)
        with connected(anki) as half:
            began = time.monotonic()
            half.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
            assert anki("version") == 6
            assert time.monotonic() - began >= 0.2
            assert received(half) == b""

    def test_a_connection_on_which_nothing_comes_holds_up_nobody(self, start: Start) -> None:
        anki = start(patience=60)
        with connected(anki):
            assert anki("version") == 6

    def test_a_server_stops_amid_half_a_request(self) -> None:
        with AnkiServer(patience=60) as server, connected(Client(server)) as half:
            half.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
            half.sendall(b"{")

    def test_one_request_in_each_tick(self, start: Start) -> None:
        anki = start(tick=0.01)
        began = time.monotonic()
        for _ in range(6):
            anki("version")
        assert time.monotonic() - began >= 0.05

    def test_what_takes_time(self, tmp_path: Path) -> None:
        spent: list[float] = []

        class Clocked(AnkiServer):
            def spend(self, seconds: float) -> None:
                spent.append(seconds)

        with Clocked(tick=0, costs=Costs(body=4, note=2, imported=3)) as server:
            anki = prepared(Client(server))
            spent.clear()
            anki("addNotes", notes=[note("a"), note("b")])
            size = len(server.requests[-1].body)
            assert spent == [pytest.approx(4 * (size / 1_000_000) ** 2), 2, 2]
            path = package(tmp_path, {"g": ["c", "[sound:c.mp3]", ""]}, {"c.mp3": b"c"})
            anki("importPackage", path=str(path))
            assert spent[-1] == 6
        assert (MEASURED.body, MEASURED.note, MEASURED.imported) == (0.43, 0.014, 0.0015)

    def test_requests_are_recorded(self, start: Start) -> None:
        anki = start()
        anki.post(b'{"action": "version"}', {"X-Test": "Yes"})
        [request] = anki.server.requests
        assert (request.method, request.path, request.headers["x-test"]) == ("POST", "/", "Yes")
        assert request.json() == {"action": "version"}


class TestFaults:
    def test_the_connection_is_dropped(self, start: Start) -> None:
        anki = start()
        anki.server.fail(Dropped())
        with pytest.raises(httpx.TransportError):
            anki("version")
        assert anki("version") == 6

    def test_a_reply_is_late(self, start: Start) -> None:
        anki = start()
        anki.server.fail(Slow(0.01))
        assert anki("version") == 6

    def test_some_requests_are_refused(self, start: Start) -> None:
        anki = start()
        anki.server.fail(AnkiRefusal("collection is not available"), times=2, when=is_call_of("deckNames"))
        anki.server.fail(Reply(503), when=is_call_of("modelNames"))
        assert anki("version") == 6
        assert anki.error("deckNames") == "collection is not available"
        assert anki.error("deckNames") == "collection is not available"
        assert anki("deckNames") == ["Default"]
        assert anki.post(b'{"action": "modelNames"}').status_code == 503

    def test_an_action_is_refused_within_multi(self, start: Start) -> None:
        anki = start()
        anki.server.refuse("deckNames", "disk full")
        parts = [{"action": "deckNames", "version": 6}] * 2
        assert anki("multi", actions=parts) == [
            {"result": None, "error": "disk full"},
            {"result": ["Default"], "error": None},
        ]

    def test_anki_is_closed_and_opened_again(self, start: Start) -> None:
        anki = start()
        anki("createDeck", deck="Kept")
        anki.server.stop()
        with pytest.raises(httpx.ConnectError):
            anki("version")
        anki.server.start()
        assert anki("deckNames") == ["Default", "Kept"]

    def test_no_profile_is_loaded(self, start: Start) -> None:
        anki = start(profile_open=False, profiles=("User 1", "Other"), load_takes=2)
        assert anki("getProfiles") == ["User 1", "Other"]
        assert anki("getActiveProfile") is None
        assert anki.error("deckNames") == "collection is not available"
        assert anki("loadProfile", name="Nobody") is False
        assert anki("loadProfile", name="Other") is True
        assert anki("getActiveProfile") == "Other"
        assert anki.error("deckNames") == "collection is not available"
        assert anki.error("modelNames") == "collection is not available"
        assert anki("deckNames") == ["Default"]

    def test_synchronising_without_an_account(self, start: Start, version: str) -> None:
        anki = start(version=version)
        reply = anki.send({"action": "sync", "version": 6})
        assert reply == {"result": None, "error": "sync: auth not configured" if version == NEW else None}
        anki.server.anki.logged_in = True
        assert anki("sync") is None


class TestDecks:
    def test_making_a_deck_is_idempotent_and_makes_those_around_it(self, anki: Client) -> None:
        number = anki("createDeck", deck="A::B")
        assert anki("createDeck", deck="a::b") == number
        assert anki("deckNames") == ["A", "A::B", "Default", "Spanish"]
        assert anki("deckNamesAndIds")["A::B"] == number

    def test_which_deck_cards_lie_in_and_moving_them(self, anki: Client) -> None:
        added = [anki("addNote", note=note(word)) for word in "abc"]
        cards = anki("findCards", query=f"nid:{','.join(map(str, added))}")
        assert len(cards) == 3
        # The older release puts every card into the default deck, and says nothing.
        assert anki("getDecks", cards=cards) == {
            "Default" if anki.server.anki.version == OLD else "Spanish": cards
        }
        anki("changeDeck", cards=cards, deck="Spanish::New")
        assert anki("getDecks", cards=cards) == {"Spanish::New": cards}
        assert [stored.decks for stored in anki.server.notes()] == [["Spanish::New"]] * 3
        assert anki("findCards", query='deck:"Spanish"') == cards

    def test_with_the_browser_open_some_cards_go_astray(
        self, start: Start, collection: AnkiCollection
    ) -> None:
        anki = prepared(start(collection, browser_open=True))
        anki("addNotes", notes=[note(word) for word in "abcdefghij"])
        astray = [stored.fields["Word"] for stored in anki.server.notes() if stored.decks == ["Default"]]
        assert astray == ["e", "j"]

    def test_browsing_opens_the_browser(self, anki: Client) -> None:
        anki("addNote", note=note("a"))
        assert anki("guiBrowse", query="nid:1") == []
        assert len(anki("guiBrowse", query='note:"Word"')) == 1
        assert anki.server.anki.browser_open

    def test_cards(self, anki: Client) -> None:
        number = anki("addNote", note=note("a"))
        [card] = anki("findCards", query=f"nid:{number}")
        known, unknown = anki("cardsInfo", cards=[card, 1])
        assert unknown == {}
        assert (known["cardId"], known["note"], known["modelName"]) == (card, number, "Word")
        assert known["fields"]["Translation"] == {"value": "x", "order": 1}
        assert anki("findCards") == []


class TestNoteTypes:
    def test_making_one_gives_the_whole_of_it(self, anki: Client) -> None:
        made = create_word(anki, "Other")
        assert [field["name"] for field in made["flds"]] == ["Word", "Translation", "Sound"]
        assert [part["name"] for part in made["tmpls"]] == ["Recognise", "Listen"]
        assert anki("modelNamesAndIds")["Other"] == made["id"]
        assert "Other" in anki("modelNames")
        assert anki("modelFieldNames", modelName="Other") == ["Word", "Translation", "Sound"]
        assert anki("modelTemplates", modelName="Other")["Recognise"] == {
            "Front": "{{Word}}",
            "Back": "{{Translation}}",
        }
        assert anki("modelStyling", modelName="Other") == {"css": ".card {}"}
        assert anki.server.note_types()["Other"].fields == ("Word", "Translation", "Sound")

    def test_what_cannot_be_made(self, anki: Client) -> None:
        template = {"Front": "{{F}}", "Back": "b"}
        for name, fields, templates, error in (
            ("Word", ["F"], [template], "Model name already exists"),
            ("New", [], [template], "Must provide at least one field for inOrderFields"),
            ("New", ["F"], [], "Must provide at least one card for cardTemplates"),
        ):
            params = {"modelName": name, "inOrderFields": fields, "cardTemplates": templates}
            assert anki.error("createModel", **params) == error
        assert anki.error("modelFieldNames", modelName="X") == "model was not found: X"

    def test_a_template_that_anki_refuses(self, anki: Client) -> None:
        not_found = "Field '\u2068Nope\u2069' not found."
        for front, back, problem in (
            ("{{Nope}}", "x", not_found),
            ("{{Word}}", "{{hint:Nope}}", not_found),
            ("{{#Nope}}{{Word}}{{/Nope}}", "x", not_found),
            ("plain", "x", "Expected to find a field replacement on the front of the card template."),
            ("{{#Word}}", "x", "See the preview for more information."),
            ("{{/Word}}", "x", "See the preview for more information."),
        ):
            expected = (
                "Card template \u20681\u2069 in note type '\u2068{}\u2069' has a problem.<br>" + problem
            )
            model = {"name": "Word", "templates": {"Recognise": {"Front": front, "Back": back}}}
            assert anki.error("updateModelTemplates", model=model) == expected.format("Word")
            params = {"modelName": "New", "inOrderFields": ["Word"]}
            templates = [{"Front": front, "Back": back}]
            error = anki.error("createModel", **params, cardTemplates=templates)
            assert error == expected.format("New")

    def test_two_cards_with_one_front(self, anki: Client) -> None:
        templates = [{"Front": "{{F}}", "Back": "1"}, {"Front": "{{F}}", "Back": "2"}]
        error = anki.error("createModel", modelName="N", inOrderFields=["F"], cardTemplates=templates)
        assert error.endswith("<br>The front side is identical to card template \u20681\u2069.")

    def test_changing_templates_passes_by_what_it_does_not_know(self, anki: Client) -> None:
        before = anki("modelTemplates", modelName="Word")
        templates = {"Nope": {"Front": "x"}, "Recognise": {"Front": "", "Back": "<b>{{Translation}}</b>"}}
        assert anki("updateModelTemplates", model={"name": "Word", "templates": templates}) is None
        after = anki("modelTemplates", modelName="Word")
        assert after["Recognise"] == {"Front": "{{Word}}", "Back": "<b>{{Translation}}</b>"}
        assert after["Listen"] == before["Listen"]

    def test_templates_as_a_list(self, anki: Client) -> None:
        model = {"name": "Word", "templates": [{"Name": "Recognise", "Front": "{{Word}}", "Back": "x"}]}
        assert anki.error("updateModelTemplates", model=model) == "'list' object has no attribute 'get'"

    def test_changing_the_style(self, anki: Client) -> None:
        assert anki("updateModelStyling", model={"name": "Word", "css": "a {}"}) is None
        assert anki("modelStyling", modelName="Word") == {"css": "a {}"}
        assert anki.error("updateModelStyling", model={"name": "X", "css": ""}) == "model was not found: X"

    def test_a_new_condition_makes_the_cards_that_were_missing(self, anki: Client) -> None:
        anki("addNote", note=note("a"))
        templates = {"Listen": {"Front": "{{Translation}}?"}}
        anki("updateModelTemplates", model={"name": "Word", "templates": templates})
        assert [card.template for card in anki.server.notes()[0].cards] == [0, 1]


class TestAddingNotes:
    def test_cards_are_made_of_what_is_filled_in(self, anki: Client) -> None:
        silent = anki("addNote", note=note("a"))
        loud = anki("addNote", note={**note("b"), "fields": {"Word": "b", "Sound": "[sound:b.mp3]"}})
        blank = anki("addNote", note={**note("c"), "fields": {"Word": "c", "Sound": "<br>"}})
        by_number = {stored.id: stored for stored in anki.server.notes()}
        assert [card.template for card in by_number[silent].cards] == [0]
        assert [card.template for card in by_number[loud].cards] == [0, 1]
        assert [card.template for card in by_number[blank].cards] == [0]
        one_side = {"deckName": "Spanish", "modelName": "Basic (and reversed card)", "fields": {"Front": "d"}}
        anki("addNote", note=one_side)
        assert [card.template for card in anki.server.notes()[-1].cards] == [0]

    def test_case_of_fields_makes_no_difference_and_unknown_ones_are_lost(self, anki: Client) -> None:
        fields = {"word": "a", "TRANSLATION": "b", "Nope": "c"}
        anki("addNote", note={**note(""), "fields": fields, "tags": ["two words", "b", "B"]})
        [stored] = anki.server.notes()
        assert stored.fields == {"Word": "a", "Translation": "b", "Sound": ""}
        assert stored.tags == ("b", "two", "words")

    def test_what_cannot_be_added(self, anki: Client) -> None:
        anki("addNote", note=note("gato"))
        for bad, error in (
            (note("gato"), DUPLICATE),
            (note("<b>gato</b>"), DUPLICATE),
            (note(""), EMPTY),
            (note(" <b></b>&nbsp;"), EMPTY),
            ({**note(""), "fields": {"Wort": "a"}}, EMPTY),
            (note("a", deck="X"), "deck was not found: X"),
            (note("a", model="X"), "model was not found: X"),
            ({"deckName": "Spanish"}, "'modelName'"),
            (
                note("a", options={"allowDuplicate": "true"}),
                'option parameter "allowDuplicate" must be boolean',
            ),
        ):
            assert anki.error("addNote", note=bad) == error
            assert anki("canAddNotes", notes=[bad, note("perro")]) == [False, True]
            if anki.server.anki.version == NEW:
                detail = anki("canAddNotesWithErrorDetail", notes=[bad, note("perro")])
                assert detail == [{"canAdd": False, "error": error}, {"canAdd": True}]
            assert words(anki) == ["gato"]

    def test_half_a_surrogate_pair(self, anki: Client) -> None:
        assert "surrogates not allowed" in anki.error("addNote", note=note("a\ud800"))
        assert anki.error("addNote", note=note("a", deck="\ud800")) == "deck was not found: \ud800"

    def test_one_bad_note_of_several(self, anki: Client) -> None:
        anki("addNote", note=note("gato"))
        reply = anki.send(
            {
                "action": "addNotes",
                "version": 6,
                "params": {"notes": [note("a"), note("gato"), note("b"), note("")]},
            }
        )
        if anki.server.anki.version == NEW:
            assert reply == {"result": None, "error": f"['{DUPLICATE}', '{EMPTY}']"}
            assert words(anki) == ["gato"]
        else:
            first, *others = reply["result"]
            assert reply["error"] is None
            assert first
            assert [other is None for other in others] == [True, False, True]
            assert words(anki) == ["gato", "a", "b"]

    def test_a_duplicate_within_the_batch(self, anki: Client) -> None:
        batch = [note("a"), note("a")]
        assert anki("canAddNotes", notes=batch) == [True, True]
        reply = anki.send({"action": "addNotes", "version": 6, "params": {"notes": batch}})
        if anki.server.anki.version == NEW:
            assert reply["error"] == f"['{DUPLICATE}']"
            assert words(anki) == []
        else:
            assert reply["result"][1] is None
            assert words(anki) == ["a"]

    def test_duplicates_are_found_within_the_note_type_in_any_deck(self, anki: Client) -> None:
        create_word(anki, "Other")
        anki("createDeck", deck="Elsewhere")
        anki("addNote", note=note("a"))
        anki("addNote", note=note("a", model="Other"))
        anki("addNote", note=note("A"))
        assert anki.error("addNote", note=note("a", deck="Elsewhere")) == DUPLICATE
        anki("addNote", note=note("a", options={"allowDuplicate": True}))
        assert words(anki) == ["a", "a", "A", "a"]

    def test_duplicates_within_a_deck(self, start: Start, collection: AnkiCollection) -> None:
        anki = prepared(start(collection))
        create_word(anki, "Other")
        for deck in ("Spanish::Animals", "Elsewhere"):
            anki("createDeck", deck=deck)
        anki("addNote", note=note("a", deck="Spanish::Animals"))

        def can_add(model: str = "Word", text: str = "a", **scope: Any) -> bool:
            options = {"duplicateScope": "deck", "duplicateScopeOptions": scope}
            [answer] = anki("canAddNotes", notes=[note(text, model=model, options=options)])
            return bool(answer)

        assert can_add()
        assert not can_add(checkChildren=True)
        assert not can_add(deckName="spanish::animals")
        assert can_add(deckName="Elsewhere")
        assert can_add("Other", checkChildren=True)
        assert not can_add("Other", checkChildren=True, checkAllModels=True)
        assert not can_add(text="")
        everywhere = {"duplicateScope": "collection", "duplicateScopeOptions": {"checkAllModels": True}}
        assert anki.error("addNote", note=note("a", model="Other", options=everywhere)) == DUPLICATE

    def test_a_cloze_note_without_a_gap(self, anki: Client) -> None:
        cloze = {"deckName": "Spanish", "modelName": "Cloze"}
        error = anki.error("addNote", note={**cloze, "fields": {"Text": "no gap"}})
        assert error == "cannot create note for unknown reason"
        anki("addNote", note={**cloze, "fields": {"Text": "{{c1::a}} {{c3::b}}"}})
        assert [card.template for card in anki.server.notes()[0].cards] == [0, 2]

    def test_media_of_a_note(self, anki: Client, tmp_path: Path) -> None:
        (tmp_path / "a.mp3").write_bytes(b"sound")
        sound = {"path": str(tmp_path / "a.mp3"), "filename": "a.mp3", "fields": ["Sound"]}
        picture = {"data": encoded(b"picture"), "filename": "a.png", "fields": ["Translation"]}
        anki("addNote", note=note("a", audio=sound, picture=[picture]))
        assert anki.server.notes()[0].fields == {
            "Word": "a",
            "Translation": 'x<img src="a.png">',
            "Sound": "[sound:a.mp3]",
        }
        assert anki.server.media() == {"a.mp3": b"sound", "a.png": b"picture"}

    def test_media_that_fail_leave_their_error_in_the_field(self, anki: Client) -> None:
        sound = {"url": "http://127.0.0.1:9/a.mp3", "filename": "a.mp3", "fields": ["Sound"]}
        assert anki("addNote", note=note("a", audio=[sound]))
        assert anki.server.notes()[0].fields["Sound"].startswith("&lt;urlopen error")
        assert anki.server.media() == {}


class TestChangingNotes:
    def test_fields_by_their_exact_names(self, anki: Client) -> None:
        number = anki("addNote", note=note("a", tags=["t"]))
        fields = {"word": "lost", "Translation": "new", "Sound": "[sound:a.mp3]", "Nope": "lost"}
        assert anki("updateNoteFields", note={"id": number, "fields": fields}) is None
        [stored] = anki.server.notes()
        assert stored.fields == {"Word": "a", "Translation": "new", "Sound": "[sound:a.mp3]"}
        assert stored.tags == ("t",)
        assert [card.template for card in stored.cards] == [0, 1]

    def test_fields_and_tags(self, anki: Client) -> None:
        number = anki("addNote", note=note("a", tags=["t"]))
        anki("updateNote", note={"id": number, "fields": {"Word": "b"}, "tags": ["u", "v"]})
        [stored] = anki.server.notes()
        assert (stored.fields["Word"], stored.tags) == ("b", ("u", "v"))
        error = anki.error("updateNote", note={"id": number})
        assert error == 'Must provide a "fields" or "tags" property.'
        anki("updateNoteTags", note=number, tags="w")
        anki("addTags", notes=[number], tags="x y")
        anki("removeTags", notes=[number], tags="x")
        assert anki.server.notes()[0].tags == ("w", "y")
        assert anki.error("updateNoteTags", note=number, tags=[1]) == "Must provide tags as a list of strings"

    def test_a_changed_first_field_is_what_counts_for_duplicates(self, anki: Client) -> None:
        number = anki("addNote", note=note("a"))
        anki("updateNoteFields", note={"id": number, "fields": {"Word": "b"}})
        assert anki("canAddNotes", notes=[note("a"), note("b")]) == [True, False]

    def test_a_note_that_is_not_there(self, anki: Client) -> None:
        for action, params in (
            ("updateNoteFields", {"note": {"id": 1, "fields": {}}}),
            ("updateNoteTags", {"note": 1, "tags": []}),
        ):
            assert anki.error(action, **params) == "Note was not found: 1"

    def test_what_is_known_of_notes(self, anki: Client) -> None:
        number = anki("addNote", note=note("a", tags=["t"]))
        known, unknown = anki("notesInfo", notes=[number, 1])
        assert unknown == {}
        assert (known["noteId"], known["modelName"], known["tags"]) == (number, "Word", ["t"])
        assert known["fields"]["Word"] == {"value": "a", "order": 0}
        assert known["cards"] == anki("findCards", query=f"nid:{number}")

    def test_removing(self, anki: Client) -> None:
        number = anki("addNote", note=note("a"))
        anki("deleteNotes", notes=[number, 1])
        assert anki.server.notes() == []
        assert anki("canAddNotes", notes=[note("a")]) == [True]


class TestSearch:
    def test_what_is_found(self, start: Start, collection: AnkiCollection) -> None:
        anki = prepared(start(collection))
        create_word(anki, "My Words")
        anki("createDeck", deck="Spanish::Animals")
        for word, deck, model in (
            ("gato", "Spanish", "Word"),
            ("a: b", "Spanish::Animals", "My Words"),
            ('say "hi"', "Default", "Word"),
            ("a*b", "Default", "Word"),
            ("(x)", "Default", "Word"),
        ):
            anki("addNote", note=note(word, deck, model, tags=["t::u"] if word == "gato" else []))
        everything = {note.id: note.fields["Word"] for note in anki.server.notes()}
        for query, expected in (
            ("", ["gato", "a: b", 'say "hi"', "a*b", "(x)"]),
            ('deck:"Spanish"', ["gato", "a: b"]),
            ("deck:spanish::animals", ["a: b"]),
            ('"deck:Spanish" "note:Word"', ["gato"]),
            ('note:"My Words"', ["a: b"]),
            ('"note:my words"', ["a: b"]),
            ("nid:1,2", []),
            ("Word:GATO", ["gato"]),
            ('"word:gato"', ["gato"]),
            ('deck:Spanish "Word:gat_"', ["gato"]),
            ('"Word:a\\: b"', ["a: b"]),
            ('"Word:a: b"', ["a: b"]),
            ('"Word:say \\"hi\\""', ['say "hi"']),
            ('"Word:a\\*b"', ["a*b"]),
            ('"Word:a*b"', ["a: b", "a*b"]),
            ('"Word:(x)"', ["(x)"]),
            ("Nope:gato", []),
            ("tag:t", ["gato"]),
            ('deck:"Nope"', []),
            ("deck:current", ['say "hi"', "a*b", "(x)"]),
            ("deck:filtered", []),
        ):
            found = [everything[number] for number in anki("findNotes", query=query)]
            assert found == expected, query

    def test_decks_of_any_name(self, start: Start, collection: AnkiCollection) -> None:
        anki = prepared(start(collection))
        for name, stored, search in (
            ('a "b" c', 'a "b" c', 'a \\"b\\" c'),
            ("a*b_c", "a*b_c", "a\\*b\\_c"),
            ("back\\slash", "back\\slash", "back\\\\slash"),
            ("A:: B", "A::B", "A\\:\\:B"),
            ("a: b", "a: b", "a\\: b"),
            ("Ελλάδα 😀", "Ελλάδα 😀", "Ελλάδα 😀"),
            ("cafe\u0301", "caf\xe9", "caf\xe9"),
            ("  spaces ", "spaces", "spaces"),
            ("a & b &amp; <c>", "a & b &amp; <c>", "a & b &amp; <c>"),
            ("current", "current", "Current"),
            ("filtered", "filtered", "Filtered"),
        ):
            number = anki("createDeck", deck=name)
            assert anki("deckNamesAndIds")[stored] == number
            if name != stored:
                assert anki("createDeck", deck=stored) == number
            cards = anki("findCards", query=f"nid:{anki('addNote', note=note(name, stored))}")
            assert anki("findCards", query=f'deck:"{search}"') == cards

    @pytest.mark.parametrize(
        "query",
        ["gato", "-note:Word", "a:b or c:d", "(Word:x)", "is:new", "rated:1", "added:1", '"open', "re:x"],
    )
    def test_what_is_beyond_the_collection_in_memory(self, start: Start, query: str) -> None:
        assert start().error("findNotes", query=query).startswith("unsupported search in the test server")

    def test_a_bad_number(self, anki: Client) -> None:
        assert anki.error("findNotes", query="nid:x") == (
            "Invalid search: \u2068expected only digits and commas in nid:\u2069"
        )
        assert anki("findNotes") == []


class TestMedia:
    def test_names_are_cleaned_and_in_lower_case(self, anki: Client) -> None:
        for name, stored in (
            ("Foo.MP3", "foo.mp3"),
            ("a?b:c*[d].mp3", "abcd.mp3"),
            ("dir/x.mp3", "dirx.mp3"),
            ("e\u0301.mp3", "\xe9.mp3"),
            ("x.", "x._"),
        ):
            assert anki("storeMediaFile", filename=name, data=encoded(b"x")) == stored
        assert set(anki.server.media()) == {"foo.mp3", "abcd.mp3", "dirx.mp3", "\xe9.mp3", "x._"}

    def test_changed_bytes_under_a_name_in_upper_case_make_a_second_file(self, anki: Client) -> None:
        for _ in range(2):
            assert anki("storeMediaFile", filename="Foo.MP3", data=encoded(b"a")) == "foo.mp3"
        second = anki("storeMediaFile", filename="Foo.MP3", data=encoded(b"b"))
        assert second == f"foo-{hashlib.sha1(b'b').hexdigest()}.mp3"
        assert anki.server.media() == {"foo.mp3": b"a", second: b"b"}

    def test_changed_bytes_under_a_name_in_lower_case_take_the_place(self, anki: Client) -> None:
        for data in (b"a", b"b"):
            assert anki("storeMediaFile", filename="foo.mp3", data=encoded(data)) == "foo.mp3"
        assert anki.server.media() == {"foo.mp3": b"b"}
        stored = anki("storeMediaFile", filename="foo.mp3", data=encoded(b"c"), deleteExisting=False)
        assert stored == f"foo-{hashlib.sha1(b'c').hexdigest()}.mp3"

    def test_before_26_5_case_is_preserved(self, start: Start) -> None:
        anki = start(anki_version="25.09.3")
        for data in (b"a", b"b"):
            assert anki("storeMediaFile", filename="Foo.MP3", data=encoded(data)) == "Foo.MP3"
        assert anki.server.media() == {"Foo.MP3": b"b"}

    def test_a_file_of_a_known_hash_is_skipped(self, anki: Client) -> None:
        known = hashlib.md5(b"a").hexdigest()
        assert anki("storeMediaFile", filename="a.mp3", data=encoded(b"a"), skipHash=known) is None
        assert anki("storeMediaFile", filename="a.mp3", data=encoded(b"b"), skipHash=known) == "a.mp3"
        assert anki.server.media() == {"a.mp3": b"b"}

    def test_from_a_path(self, anki: Client, tmp_path: Path) -> None:
        (tmp_path / "a.mp3").write_bytes(b"a")
        assert anki("storeMediaFile", filename="b.mp3", path=str(tmp_path / "a.mp3")) == "b.mp3"
        error = anki.error("storeMediaFile", filename="b.mp3", path=str(tmp_path / "nope.mp3"))
        assert "No such file or directory" in error
        assert anki.server.media() == {"b.mp3": b"a"}

    def test_what_is_no_base64_is_stored_all_the_same(self, anki: Client) -> None:
        assert anki("storeMediaFile", filename="a.mp3", data="<bad> base6!") == "a.mp3"
        assert anki.server.media() == {"a.mp3": base64.b64decode("badbase6")}

    def test_what_cannot_be_stored(self, anki: Client) -> None:
        no_source = 'You must provide a "data", "path", or "url" field.'
        for source, error in (
            ({}, no_source),
            ({"data": ""}, no_source),
            ({"url": "http://127.0.0.1:9/"}, "<urlopen error the test server fetches nothing>"),
        ):
            assert anki.error("storeMediaFile", filename="a.mp3", **source) == error

    def test_reading_and_removing(self, anki: Client) -> None:
        anki("storeMediaFile", filename="a.mp3", data=encoded(b"a"))
        assert base64.b64decode(anki("retrieveMediaFile", filename="a.mp3")) == b"a"
        assert anki("retrieveMediaFile", filename="nope.mp3") is False
        assert anki("getMediaFilesNames", pattern="*.mp3") == ["a.mp3"]
        assert anki("getMediaFilesNames", pattern="*.png") == []
        assert anki("deleteMediaFile", filename="a.mp3") is None
        assert anki("getMediaFilesNames") == []

    def test_a_file_put_into_the_folder_is_there(self, anki: Client) -> None:
        Path(anki("getMediaDirPath"), "b.mp3").write_bytes(b"b")
        assert anki("getMediaFilesNames") == ["b.mp3"]
        assert anki.server.media() == {"b.mp3": b"b"}


class TestPackages:
    def test_all_of_it_arrives(self, anki: Client, tmp_path: Path) -> None:
        path = package(
            tmp_path, {"g1": ["gato", "cat", "[sound:g.mp3]"], "g2": ["hola", "hi", ""]}, {"g.mp3": b"g"}
        )
        assert anki("importPackage", path=str(path)) is True
        by_guid = {stored.guid: stored for stored in anki.server.notes()}
        assert by_guid["g1"].fields == {"Word": "gato", "Translation": "cat", "Sound": "[sound:g.mp3]"}
        assert by_guid["g1"].decks == ["Animals"] * 2
        assert by_guid["g1"].tags == ("t",)
        assert by_guid["g2"].decks == ["Animals"]
        assert anki.server.media() == {"g.mp3": b"g"}
        # Another note type of the same name is there already, with another number.
        assert by_guid["g1"].note_type == "Word+"
        assert anki.server.note_types()["Word+"].id == 1_500_000_000

    def test_a_relative_path_begins_in_the_media_folder(self, anki: Client, tmp_path: Path) -> None:
        shutil.move(package(tmp_path, {"g": ["a", "b", ""]}), Path(anki("getMediaDirPath"), "deck.apkg"))
        assert anki("importPackage", path="deck.apkg") is True
        assert words(anki) == ["a"]

    def test_the_same_again_changes_only_what_is_newer(self, anki: Client, tmp_path: Path) -> None:
        def translation(text: str, at: int, deck: str = "Animals") -> tuple[str, list[str], int]:
            anki("importPackage", path=str(package(tmp_path, {"g": ["a", text, ""]}, at=at, deck=deck)))
            [stored] = anki.server.notes()
            return stored.fields["Translation"], stored.decks, stored.id

        first = translation("b", 1_900_000_000)
        assert first[:2] == ("b", ["Animals"])
        assert translation("same second", 1_900_000_000) == first
        assert translation("older", 1_800_000_000) == first
        assert translation("newer", 1_900_000_001, "Other") == ("newer", ["Animals"], first[2])

    def test_a_newer_package_brings_its_style(self, anki: Client, tmp_path: Path) -> None:
        for at, css in ((1_900_000_000, "old"), (1_900_000_001, "new")):
            anki("importPackage", path=str(package(tmp_path, {"g": ["a", "b", ""]}, at=at, css=css)))
        assert anki.server.note_types()["Word+"].css == "new"

    def test_other_fields_make_another_note_type_and_leave_the_notes(
        self, anki: Client, tmp_path: Path
    ) -> None:
        anki("importPackage", path=str(package(tmp_path, {"g": ["a", "b", ""]})))
        wider = {"g": ["a", "changed", "", ""], "h": ["new", "", "", ""]}
        anki(
            "importPackage",
            path=str(package(tmp_path, wider, at=1_900_000_009, fields="Word Translation Sound More")),
        )
        by_guid = {stored.guid: stored for stored in anki.server.notes()}
        assert by_guid["g"].fields["Translation"] == "b"
        assert by_guid["h"].note_type == "Word++"

    @pytest.mark.parametrize("content", [None, b"junk"])
    def test_what_is_no_package(self, anki: Client, tmp_path: Path, content: bytes | None) -> None:
        if content:
            (tmp_path / "x.apkg").write_bytes(content)
        error = anki.error("importPackage", path=str(tmp_path / "x.apkg"))
        assert error.startswith(
            "invalid Zip archive:" if content else f"Failed to open '{tmp_path / 'x.apkg'}'"
        )

    def test_exporting(self, anki: Client, tmp_path: Path) -> None:
        assert anki("exportPackage", deck="Nope", path=str(tmp_path / "x.apkg")) is False
        assert anki("exportPackage", deck="Spanish", path=str(tmp_path / "x.apkg")) is True
        assert (tmp_path / "x.apkg").exists()

    @pytest.mark.parametrize("target", [MemoryCollection, RealCollection])
    def test_what_is_exported_can_be_imported(
        self, start: Start, collection: AnkiCollection, tmp_path: Path, target: type[AnkiCollection]
    ) -> None:
        anki = prepared(start(collection))
        anki("createDeck", deck="Spanish::Animals")
        fields = {"Word": "gato", "Sound": "[sound:g.mp3]"}
        anki("storeMediaFile", filename="g.mp3", data=encoded(b"g"))
        anki("addNote", note={**note("", "Spanish::Animals"), "fields": fields, "tags": ["t"]})
        anki("addNote", note=note("elsewhere", "Default"))
        anki("exportPackage", deck="Spanish", path=str(tmp_path / "x.apkg"))
        with target() as other:
            assert other.import_package(tmp_path / "x.apkg") >= 1
            [stored] = other.notes()
            assert (stored.fields["Word"], stored.tags) == ("gato", ("t",))
            assert stored.decks == ["Spanish::Animals"] * 2
            assert other.media() == {"g.mp3": b"g"}


class TestCollections:
    def test_notes_are_checked_as_by_the_real_anki(self) -> None:
        with MemoryCollection() as memory, RealCollection() as real:
            for first in ("a", "", " ", "<b></b>", "<img src=x.jpg>", "<img src='y z.jpg'>", "&nbsp;",
                          "[sound:x.mp3]", "<br>", "a&amp;b"):  # fmt: skip
                for fields in ({"Front": first, "Back": ""}, {"Front": f"<i>{first}</i>", "Back": "x"}):
                    checks = [each.check_note("Basic", fields) for each in (memory, real)]
                    assert checks[0] == checks[1], first
                    for each in (memory, real):
                        each.add_note("Basic", fields, [], "Default")
            assert [stored.decks for stored in memory.notes()] == [stored.decks for stored in real.notes()]

    def test_nothing_is_left_behind(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        with AnkiServer(tick=0) as server:
            Client(server)("storeMediaFile", filename="a.mp3", data=encoded(b"a"))
            assert len(os.listdir(tmp_path)) == 1
        assert os.listdir(tmp_path) == []

    def test_a_collection_that_was_given_stays(self, start: Start) -> None:
        with closing(MemoryCollection()) as stored:
            with AnkiServer(stored, tick=0) as server:
                Client(server)("createDeck", deck="A")
            assert set(stored.decks()) == {"Default", "A"}
            assert stored.media_folder.is_dir()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def connected(client: Client) -> socket.socket:
    host, port = client.server.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def received(connection: socket.socket) -> bytes:
    """Return all that comes until the other side ends."""
    data = b""
    try:
        while more := connection.recv(4096):
            data += more
    except ConnectionResetError:
        pass
    return data


def package(
    folder: Path,
    notes: dict[str, list[str]],
    media: dict[str, bytes] | None = None,
    *,
    at: int = 1_900_000_000,
    deck: str = "Animals",
    css: str = "old",
    fields: str = "Word Translation Sound",
) -> Path:
    """Write a package with genanki: its notes by GUID."""
    model = genanki.Model(
        1_500_000_000,
        "Word",
        fields=[{"name": name} for name in fields.split()],
        templates=[
            {"name": "Recognise", "qfmt": "{{Word}}", "afmt": "{{Translation}}"},
            {"name": "Listen", "qfmt": "{{#Sound}}{{Sound}}{{/Sound}}", "afmt": "{{Word}}"},
        ],
        css=css,
    )
    made = genanki.Deck(1_234_567 + len(deck), deck)
    for guid, values in notes.items():
        made.add_note(genanki.Note(model, values, guid=guid, tags=["t"]))
    files = []
    for name, data in (media or {}).items():
        files.append(folder / name)
        files[-1].write_bytes(data)
    path = folder / "package.apkg"
    genanki.Package(made, media_files=[str(file) for file in files]).write_to_file(path, timestamp=at)
    return path
