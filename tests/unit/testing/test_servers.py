"""The stand-ins for online services: they answer like the services, and fail on demand."""

from __future__ import annotations

import base64
import http.client
import importlib
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs
import miniaudio
import pytest
import tomli

from deckwright.testing.servers import (
    Dropped,
    Exchange,
    ForvoServer,
    GzipBomb,
    HtmlPage,
    LocalServer,
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
    samples,
)

if TYPE_CHECKING:
    from openai import OpenAI

MINUTE = 60


@attrs.frozen
class Answer:
    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def fetch(
    url: str, body: object = None, headers: Mapping[str, str] | None = None, method: str | None = None
) -> Answer:
    """Send one request on a connection of its own; a body that is not bytes goes as JSON."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, dict(headers or {}), method=method)
    try:
        with urllib.request.urlopen(request, timeout=MINUTE) as response:
            return Answer(response.status, response.headers, response.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return Answer(refusal.code, refusal.headers, refusal.read())


def connect(server: LocalServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=MINUTE)


class Echo(LocalServer):
    """Answers with what it was sent, and counts."""

    done = 0

    def respond(self, received: Received) -> Reply:
        self.done += 1
        return Reply(200, received.body or b"nothing", {"Content-Type": "text/plain"})


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo() as server:
        yield server


class TestLocalServer:
    def test_it_records_each_request_as_it_came(self, echo: Echo) -> None:
        before = time.monotonic()
        answer = fetch(f"{echo.url}/a%2Fb?c=%20", {"d": "é"}, {"X-Thing": "Yes"})
        [received] = echo.requests
        assert (received.method, received.path) == ("POST", "/a%2Fb?c=%20")
        assert received.headers["x-thing"] == "Yes"
        assert received.json() == {"d": "é"}
        assert received.body == answer.body
        assert before <= received.at <= time.monotonic()

    def test_connections_stay_open(self, echo: Echo) -> None:
        connection = connect(echo)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"nothing"
        first = connection.sock
        connection.request("POST", "/", b"more")
        assert connection.getresponse().read() == b"more"
        assert connection.sock is first
        connection.close()

    def test_a_head_has_no_body(self, echo: Echo) -> None:
        answer = fetch(echo.url, method="HEAD")
        assert (answer.body, answer.headers["Content-Length"]) == (b"", "7")

    def test_a_request_may_come_in_chunks(self, echo: Echo) -> None:
        connection = connect(echo)
        connection.request("POST", "/", iter([b"one ", b"two"]), encode_chunked=True)
        assert connection.getresponse().read() == b"one two"
        connection.close()

    @pytest.mark.parametrize("said", [b"hello\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"])
    def test_what_is_not_http_is_refused(self, echo: Echo, said: bytes) -> None:
        connection = connect(echo)
        connection.connect()
        connection.sock.sendall(said)
        assert connection.sock.recv(100).startswith(b"HTTP/1.1 400 ")
        connection.close()
        assert echo.requests == []

    def test_sixteen_requests_are_dealt_with_at_once(self, echo: Echo) -> None:
        """Each waits until all are there."""
        echo.fail(Meeting(16), times=None)
        with ThreadPoolExecutor(16) as pool:
            assert {answer.status for answer in pool.map(fetch, [echo.url] * 16)} == {200}
        assert echo.max_at_once == 16

    def test_latency(self) -> None:
        with Echo(latency=0.02) as server:
            started = time.monotonic()
            fetch(server.url)
            assert time.monotonic() - started >= 0.02

    def test_stopping_ends_everything_at_once(self) -> None:
        threads = threading.active_count()
        arrived = threading.Event()
        server = Echo()
        with ThreadPoolExecutor(1) as pool, server:
            idle = connect(server)
            idle.request("GET", "/")
            idle.getresponse().read()
            server.fail(Slow(MINUTE * MINUTE), when=lambda _: arrived.set() or True)
            waiting = pool.submit(fetch, server.url)
            assert arrived.wait(MINUTE)
            server.stop()
            with pytest.raises(http.client.RemoteDisconnected):
                waiting.result(MINUTE)
        assert threading.active_count() == threads
        assert server.done == 1
        idle.close()

    def test_a_server_that_stopped_is_gone_and_can_come_back(self, echo: Echo) -> None:
        url = echo.url
        echo.stop()
        with pytest.raises(urllib.error.URLError, match="refused"):
            fetch(url)
        echo.start()
        assert fetch(url).status == 200
        assert echo.url == url


@attrs.frozen
class Meeting:
    """A fault of one's own: answer only once so many requests are there."""

    size: int
    barrier: threading.Barrier = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "barrier", threading.Barrier(self.size))

    def apply(self, exchange: Exchange) -> None:
        self.barrier.wait(MINUTE)
        exchange.send(exchange.answer())


class TestFaults:
    def test_they_are_met_in_order_and_so_many_times(self, echo: Echo) -> None:
        echo.fail(Reply(503), times=2)
        echo.fail(Reply(429, b"later", {"Retry-After": "3"}))
        statuses = [fetch(echo.url).status for _ in range(4)]
        assert statuses == [503, 503, 429, 200]
        assert (len(echo.requests), echo.done) == (4, 1)

    def test_only_the_requests_that_are_meant_meet_them(self, echo: Echo) -> None:
        echo.fail(Reply(500), times=None, when=lambda received: received.path == "/bad")
        assert [fetch(echo.url + path).status for path in ("/good", "/bad", "/bad")] == [200, 500, 500]
        echo.clear_faults()
        assert fetch(f"{echo.url}/bad").status == 200

    def test_slow(self, echo: Echo) -> None:
        echo.fail(Slow(0.02))
        started = time.monotonic()
        assert fetch(echo.url).status == 200
        assert time.monotonic() - started >= 0.02

    def test_truncated(self, echo: Echo) -> None:
        echo.fail(Truncated())
        with pytest.raises(http.client.IncompleteRead) as caught:
            fetch(echo.url, b"12345678")
        assert (caught.value.partial, caught.value.expected) == (b"1234", 4)

    def test_dropped_before_any_reply(self, echo: Echo) -> None:
        echo.fail(Dropped())
        with pytest.raises(http.client.RemoteDisconnected):
            fetch(echo.url)
        assert echo.done == 0

    def test_dropped_within_the_body(self, echo: Echo) -> None:
        echo.fail(Dropped(after=2))
        with pytest.raises(http.client.IncompleteRead) as caught:
            fetch(echo.url, b"12345678")
        assert caught.value.partial == b"12"
        assert echo.done == 1

    def test_reset(self, echo: Echo) -> None:
        echo.fail(Dropped(reset=True))
        with pytest.raises((ConnectionResetError, urllib.error.URLError)):
            fetch(echo.url)

    def test_a_lost_reply_comes_after_the_work(self, echo: Echo) -> None:
        echo.fail(LostReply())
        echo.fail(LostReply(Reply(504)))
        echo.fail(LostReply(Slow(0)))
        with pytest.raises(http.client.RemoteDisconnected):
            fetch(echo.url)
        assert fetch(echo.url).status == 504
        assert fetch(echo.url).status == 200
        assert echo.done == 3

    def test_html_page(self, echo: Echo) -> None:
        echo.fail(HtmlPage())
        answer = fetch(echo.url)
        assert (answer.status, answer.headers.get_content_type()) == (200, "text/html")
        assert answer.body.startswith(b"<!DOCTYPE html>")

    def test_redirect(self, echo: Echo) -> None:
        echo.fail(Redirect("/elsewhere"))
        assert fetch(echo.url).status == 200
        assert [received.path for received in echo.requests] == ["/", "/elsewhere"]

    def test_oversized_and_declared(self, echo: Echo) -> None:
        """Five gigabytes, of which nobody ever has more than a little."""
        echo.fail(Oversized(start=b"ID3", content_type="audio/mpeg"))
        connection = connect(echo)
        connection.request("GET", "/")
        response = connection.getresponse()
        assert (response.length, response.headers["Content-Type"]) == (5 << 30, "audio/mpeg")
        assert response.read(1 << 22).startswith(b"ID3\0\0")
        response.close()
        connection.close()
        assert fetch(echo.url).status == 200

    def test_oversized_without_saying_so(self, echo: Echo) -> None:
        echo.fail(Oversized(3_000_000, declared=False, start=b"\x89PNG"))
        answer = fetch(echo.url)
        assert "Content-Length" not in answer.headers
        assert answer.body == b"\x89PNG" + bytes(3_000_000 - 4)

    @pytest.mark.parametrize("layers", [1, 2])
    def test_gzip_bomb(self, echo: Echo, layers: int) -> None:
        size = 16 << 20
        echo.fail(GzipBomb(size, layers))
        answer = fetch(echo.url)
        assert answer.headers["Content-Encoding"] == ", ".join(["gzip"] * layers)
        body = answer.body
        assert len(body) < (100_000 if layers == 1 else 1000)
        for _ in range(layers):
            unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
            body = unpacker.decompress(body)
            assert unpacker.eof
        assert len(body) == size


class TestSamples:
    def test_an_mp3_can_be_played_and_distinguished(self) -> None:
        sound = miniaudio.decode(samples.mp3("niño", seconds=1))
        assert sound.duration == pytest.approx(1, abs=0.1)
        assert samples.mp3("niño") != samples.mp3("niña")
        assert samples.mp3()[0] == 0xFF

    def test_a_png_is_whole(self) -> None:
        size, rows = read_png(samples.picture("png", 20, 10, (1, 2, 3)))
        assert size == (20, 10)
        assert len(rows) == 10 * (1 + 3)

    @pytest.mark.parametrize(
        ("format", "start"),
        [("jpeg", b"\xff\xd8\xff"), ("webp", b"RIFF"), ("gif", b"GIF89a"), ("svg", b"<svg")],
    )
    def test_other_pictures_are_what_they_claim(self, format: str, start: bytes) -> None:
        picture = samples.picture(format, 20, 10, (0, 0, 0))
        assert picture.startswith(start)
        assert picture != samples.picture(format, 20, 10, (255, 255, 255))


def read_png(data: bytes) -> tuple[tuple[int, int], bytes]:
    """Return size and rows of a PNG, all checksums checked."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, position = {}, 8
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        assert zlib.crc32(kind + body) == int.from_bytes(data[position + 8 + length :][:4], "big")
        chunks[kind] = body
        position += 12 + length
    width, height = (int.from_bytes(chunks[b"IHDR"][at : at + 4], "big") for at in (0, 4))
    return (width, height), zlib.decompress(chunks[b"IDAT"])


@pytest.fixture
def forvo_server() -> Iterator[ForvoServer]:
    with ForvoServer() as server:
        yield server


def search(server: ForvoServer, word: str = "hola", **more: object) -> Answer:
    given = {"key": server.key, "format": "json", "action": "word-pronunciations", "word": word, **more}
    path = "".join(f"/{name.rstrip('_')}/{quote(str(value), safe='')}" for name, value in given.items())
    return fetch(server.base_url + path)


def speakers(answer: Answer) -> list[str]:
    return [item["username"] for item in answer.json()["items"]]


class TestForvo:
    def test_a_word_has_pronunciations_that_can_be_played(self, forvo_server: ForvoServer) -> None:
        reply = search(forvo_server).json()
        assert reply["attributes"] == {"total": 3}
        [ines, mateo, _] = reply["items"]
        assert ines["country"] == "Spain"
        assert (mateo["num_positive_votes"], mateo["rate"]) == (9, 9)
        assert "audio" not in ines
        sound = fetch(ines["pathmp3"])
        assert sound.headers["Content-Type"] == "audio/mpeg"
        assert miniaudio.decode(sound.body).duration > 0.3
        assert fetch(mateo["pathmp3"]).body != sound.body
        assert fetch(ines["pathogg"]).status == 404
        assert forvo_server.used == 3

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"language": "es"}, ["ines", "mateo", "sofia"]),
            ({"language": "it"}, []),
            ({"country": "MEX"}, ["mateo"]),
            ({"country": "MX"}, []),
            ({"sex": "m"}, ["mateo"]),
            ({"username": "sofia"}, ["sofia"]),
            ({"rate": 5}, ["mateo", "sofia"]),
            ({"order": "rate-desc"}, ["mateo", "sofia", "ines"]),
            ({"order": "rate-asc", "limit": 2}, ["ines", "sofia"]),
            ({"order": "date-desc", "limit": 1}, ["mateo"]),
            ({"action": "standard-pronunciation"}, ["mateo"]),
        ],
    )
    def test_filters(self, forvo_server: ForvoServer, given: dict[str, Any], expected: list[str]) -> None:
        assert speakers(search(forvo_server, **given)) == expected

    def test_segments_come_in_any_order(self, forvo_server: ForvoServer) -> None:
        path = "limit/1/word/s%C3%AD/action/word-pronunciations/format/json/key/forvo-key/"
        assert speakers(fetch(f"{forvo_server.url}/{path}")) == ["ines"]

    def test_any_word_can_be_asked_for(self) -> None:
        word = "a/b?c#d% e+ñ"
        with ForvoServer("k", {word: [forvo.pronunciation(word, audio=b"ID3 mine")]}) as server:
            [item] = search(server, word).json()["items"]
            assert item["word"] == word
            assert fetch(item["pathmp3"]).body == b"ID3 mine"

    def test_the_corporate_form(self, forvo_server: ForvoServer) -> None:
        base = f"{forvo_server.url}/api2/v1.1"
        reply = fetch(f"{base}/forvo-key/word-pronunciations/word/hola/sex/m").json()
        assert [item["username"] for item in reply["data"]["items"]] == ["mateo"]
        assert fetch(f"{base}/other/word-pronunciations/word/hola").json() == [
            "Calling from incorrect domain."
        ]

    def test_a_word_that_nobody_spoke(self, forvo_server: ForvoServer) -> None:
        answer = search(forvo_server, "xyzzy")
        assert (answer.status, answer.json()) == (200, {"attributes": {"total": 0}, "items": []})

    def test_a_wrong_key(self, forvo_server: ForvoServer) -> None:
        assert search(forvo_server, key="wrong").json() == ["Calling from incorrect domain."]
        assert forvo_server.used == 0

    @pytest.mark.parametrize(
        "given", [{"order": "best"}, {"limit": 0}, {"sex": "x"}, {"format": "xml"}, {"action": "dance"}]
    )
    def test_wrong_values(self, forvo_server: ForvoServer, given: dict[str, Any]) -> None:
        answer = search(forvo_server, **given)
        assert answer.status == 400
        assert answer.json() == [f"Invalid value for {next(iter(given))}"]

    def test_the_quota_counts_searches_and_recordings(self) -> None:
        with ForvoServer(quota=2) as server:
            path = search(server).json()["items"][0]["pathmp3"]
            assert fetch(path).status == 200
            spent = search(server)
            assert (spent.status, spent.json()) == (400, ["Limit/day reached."])
            spent = fetch(path)
            assert (spent.status, spent.headers["Content-Type"]) == (200, "application/json")
            assert spent.json() == ["Limit/day reached."]
            server.used = 0
            assert search(server).status == 200

    @pytest.mark.parametrize(
        ("fault", "status", "body"),
        [
            (forvo.QUOTA_SPENT, 400, ["Limit/day reached."]),
            (forvo.QUOTA_SPENT_200, 200, ["Limit/day reached."]),
            (forvo.INCORRECT_DOMAIN, 400, ["Calling from incorrect domain."]),
            (forvo.INCORRECT_DOMAIN_200, 200, ["Calling from incorrect domain."]),
            (forvo.INVALID_VALUE, 400, ["Invalid value"]),
            (forvo.FORBIDDEN, 403, None),
            (forvo.NOT_FOUND, 404, None),
            (forvo.TOO_MANY_REQUESTS, 429, None),
        ],
    )
    def test_errors(self, forvo_server: ForvoServer, fault: Any, status: int, body: Any) -> None:
        forvo_server.fail(fault)
        answer = search(forvo_server)
        assert answer.status == status
        if body:
            assert answer.json() == body
        else:
            assert answer.headers.get_content_type() == "text/html"


@pytest.fixture
def openai_server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture(scope="module")
def official() -> Any:
    """OpenAI's own package. Importing it takes longer than any test."""
    return importlib.import_module("openai")


@pytest.fixture(scope="module")
def any_client(official: Any) -> Iterator[OpenAI]:
    """OpenAI's own client, which tries once; making it takes longer than any test."""
    with official.OpenAI(
        api_key="openai-key", base_url="http://127.0.0.1", max_retries=0, timeout=MINUTE
    ) as client:
        yield client


@pytest.fixture
def client(any_client: OpenAI, openai_server: OpenAIServer) -> OpenAI:
    return any_client.with_options(base_url=openai_server.base_url)


class TestOpenAI:
    """All through OpenAI's own client."""

    def test_a_picture(self, openai_server: OpenAIServer, client: OpenAI) -> None:
        reply = client.images.generate(
            model="gpt-image-2.6-flare", prompt="a red apple", size="1536x864", quality="low", n=2
        )
        assert (reply.size, reply.quality, reply.output_format) == ("1536x864", "low", "png")
        assert reply.created > 1_700_000_000
        first, second = (base64.b64decode(image.b64_json or "") for image in reply.data or [])
        assert read_png(first)[0] == (1536, 864)
        assert first != second
        assert openai_server.images_made == 2

    def test_tokens_follow_from_quality_and_size(self, openai_server: OpenAIServer, client: OpenAI) -> None:
        def tokens(**given: Any) -> int:
            usage = client.images.generate(prompt="apple", **given).usage
            assert usage
            assert usage.total_tokens == usage.input_tokens + usage.output_tokens
            return usage.output_tokens

        assert tokens(quality="low") == 272
        assert tokens() == tokens(quality="medium") > 272
        assert tokens(quality="high", n=3) == 3 * tokens(quality="high")
        assert tokens(size="1536x1024", quality="low") > 272
        total = 272 + 2 * 1056 + 4 * 4160 + 408
        assert openai_server.charged == pytest.approx(total * 30e-6 + 6 * 2 * 5e-6)

    @pytest.mark.parametrize(
        ("format", "start"),
        [
            ("png", b"\x89PNG"),
            ("jpeg", b"\xff\xd8"),
            ("webp", b"RIFF"),
            ("gif", b"GIF89a"),
            ("svg", b"<svg"),
        ],
    )
    def test_formats(self, client: OpenAI, format: Any, start: bytes) -> None:
        [image] = client.images.generate(prompt="apple", output_format=format).data or []
        assert base64.b64decode(image.b64_json or "").startswith(start)

    @pytest.mark.parametrize(
        ("given", "param"),
        [
            ({"size": "512x512"}, "size"),
            ({"size": "1000x1000"}, "size"),
            ({"size": "3200x1024"}, "size"),
            ({"size": "3840x2176"}, "size"),
            ({"size": "large"}, "size"),
            ({"size": "1536x864", "model": "gpt-image-1.5"}, "size"),
            ({"n": 11}, "n"),
            ({"quality": "hd"}, "quality"),
            ({"quality": "max", "model": "gpt-image-2"}, "quality"),
            ({"output_format": "bmp"}, "output_format"),
            ({"output_compression": 101, "output_format": "webp"}, "output_compression"),
            ({"output_compression": 50}, "output_compression"),
            ({"background": "transparent", "output_format": "jpeg"}, "background"),
            ({"prompt": "x" * 32_001}, "prompt"),
            ({"prompt": ""}, "prompt"),
            ({"response_format": "url"}, "response_format"),
            ({"style": "vivid"}, "style"),
        ],
    )
    def test_what_is_refused(
        self, openai_server: OpenAIServer, official: Any, client: OpenAI, given: dict[str, Any], param: str
    ) -> None:
        with pytest.raises(official.BadRequestError) as caught:
            client.images.generate(**{"prompt": "apple", **given})
        assert caught.value.param == param
        assert (openai_server.images_made, openai_server.charged) == (0, 0)

    def test_a_retired_model(self, official: Any, client: OpenAI) -> None:
        with pytest.raises(official.NotFoundError) as caught:
            client.images.generate(model="dall-e-3", prompt="apple")
        assert caught.value.code == "model_not_found"

    def test_a_wrong_key(self, official: Any, client: OpenAI) -> None:
        with pytest.raises(official.AuthenticationError) as caught:
            client.with_options(api_key="wrong").images.generate(prompt="apple")
        assert caught.value.code == "invalid_api_key"

    def test_models_say_when_they_end(self, official: Any, client: OpenAI) -> None:
        ends = {model.id: model.shutdown_date for model in client.models.list()}
        assert ends["gpt-image-1.5"] == "2026-12-01"
        assert ends["gpt-image-2.6-flare"] is None
        assert client.models.retrieve("gpt-image-1.5").shutdown_date == "2026-12-01"
        with pytest.raises(official.NotFoundError):
            client.models.retrieve("gpt-image-0")

    @pytest.mark.parametrize(
        ("fault", "error", "code"),
        [
            (openai.BAD_REQUEST, "BadRequestError", "invalid_value"),
            (openai.MODERATION_BLOCKED, "BadRequestError", "moderation_blocked"),
            (openai.INVALID_API_KEY, "AuthenticationError", "invalid_api_key"),
            (openai.FORBIDDEN, "PermissionDeniedError", "unsupported_country_region_territory"),
            (openai.MODEL_NOT_FOUND, "NotFoundError", "model_not_found"),
            (openai.CONFLICT, "ConflictError", "conflict"),
            (openai.UNPROCESSABLE, "UnprocessableEntityError", "unprocessable_entity"),
            (openai.RATE_LIMITED, "RateLimitError", "rate_limit_exceeded"),
            (openai.INSUFFICIENT_QUOTA, "RateLimitError", "insufficient_quota"),
            (openai.SERVER_ERROR, "InternalServerError", "server_error"),
            (openai.OVERLOADED, "InternalServerError", "overloaded"),
        ],
    )
    def test_errors(
        self,
        openai_server: OpenAIServer,
        official: Any,
        client: OpenAI,
        fault: Reply,
        error: str,
        code: str,
    ) -> None:
        openai_server.fail(fault)
        with pytest.raises(getattr(official, error)) as caught:
            client.images.generate(prompt="apple")
        assert (type(caught.value).__name__, caught.value.code) == (error, code)
        assert caught.value.status_code == fault.status
        assert caught.value.request_id == "req_failed"
        assert openai_server.images_made == 0

    def test_the_client_waits_as_requested(self, openai_server: OpenAIServer, client: OpenAI) -> None:
        openai_server.fail(openai.rate_limited(0.001, milliseconds=True))
        openai_server.fail(openai.rate_limited(0.001))
        client.with_options(max_retries=2).images.generate(prompt="apple")
        assert (len(openai_server.requests), openai_server.images_made) == (3, 1)

    def test_a_lost_reply_is_charged(
        self, openai_server: OpenAIServer, official: Any, client: OpenAI
    ) -> None:
        openai_server.fail(LostReply())
        with pytest.raises(official.APIConnectionError):
            client.images.generate(prompt="apple")
        assert openai_server.images_made == 1


@pytest.fixture
def runware_server() -> Iterator[RunwareServer]:
    with RunwareServer() as server:
        yield server


def image_task(**more: Any) -> dict[str, Any]:
    return {
        "taskType": "imageInference",
        "taskUUID": str(uuid.uuid4()),
        "model": "runware:101@1",
        "positivePrompt": "a red apple",
        "width": 512,
        "height": 512,
        "steps": 28,
        "includeCost": True,
        **more,
    }


def task(kind: str, **more: Any) -> dict[str, Any]:
    return {"taskType": kind, "taskUUID": str(uuid.uuid4()), **more}


def send(server: RunwareServer, *tasks: Any, **headers: str) -> Answer:
    return fetch(server.base_url, list(tasks), {"Authorization": f"Bearer {server.key}", **headers})


class TestRunware:
    def test_a_picture(self, runware_server: RunwareServer) -> None:
        given = image_task(seed=42, outputFormat="PNG")
        [result] = send(runware_server, given).json()["data"]
        assert result["taskUUID"] == given["taskUUID"]
        assert (result["seed"], result["cost"]) == (42, 0.0019)
        picture = fetch(result["imageURL"])
        assert picture.headers["Content-Type"] == "image/png"
        assert read_png(picture.body)[0] == (512, 512)
        assert runware_server.charged == {given["taskUUID"]: 1}
        assert runware_server.spent == 0.0019
        assert runware_server.balance == pytest.approx(100 - 0.0019)

    def test_the_price_is_as_documented(self, runware_server: RunwareServer) -> None:
        tasks = [image_task(), image_task(width=1024, height=1024), image_task(steps=14)]
        data = send(runware_server, *tasks).json()["data"]
        assert [result["cost"] for result in reversed(data)] == [0.0019, 0.0038, 0.00095]
        assert "cost" not in send(runware_server, image_task(includeCost=False)).json()["data"][0]

    def test_several_tasks_come_in_another_order(self, runware_server: RunwareServer) -> None:
        first, second = image_task(numberResults=2), image_task()
        data = send(runware_server, first, second).json()["data"]
        ids = [result["taskUUID"] for result in data]
        assert ids == [second["taskUUID"], first["taskUUID"], first["taskUUID"]]
        assert len({result["imageURL"] for result in data}) == 3
        assert runware_server.charged == {first["taskUUID"]: 1, second["taskUUID"]: 1}
        assert runware_server.spent == pytest.approx(3 * 0.0019)

    @pytest.mark.parametrize(
        ("format", "start"), [("PNG", b"\x89PNG"), ("JPG", b"\xff\xd8"), ("WEBP", b"RIFF")]
    )
    def test_output_types_and_formats(self, runware_server: RunwareServer, format: str, start: bytes) -> None:
        kinds = ("URL", "base64Data", "dataURI")
        tasks = [image_task(outputType=kind, outputFormat=format) for kind in kinds]
        inline, plain, linked = send(runware_server, *tasks).json()["data"]
        picture = base64.b64decode(plain["imageBase64Data"])
        assert picture.startswith(start)
        head, _, encoded = inline["imageDataURI"].partition(";base64,")
        assert base64.b64decode(encoded) == picture
        assert head == "data:" + fetch(linked["imageURL"]).headers["Content-Type"]

    def test_a_download_that_gives_the_key_away_is_noticed(self, runware_server: RunwareServer) -> None:
        [result] = send(runware_server, image_task()).json()["data"]
        fetch(result["imageURL"])
        assert runware_server.downloads_with_key == 0
        fetch(result["imageURL"], headers={"Authorization": "Bearer runware-key"})
        assert runware_server.downloads_with_key == 1

    def test_the_key_may_be_a_task(self, runware_server: RunwareServer) -> None:
        key = {"taskType": "authentication", "apiKey": runware_server.key}
        assert fetch(runware_server.base_url, [key, {"taskType": "ping", "ping": True}]).json() == {
            "data": [{"taskType": "ping", "pong": True}]
        }

    @pytest.mark.parametrize(
        ("headers", "code"), [({}, "missingApiKey"), ({"Authorization": "Bearer wrong"}, "invalidApiKey")]
    )
    def test_a_wrong_key(self, runware_server: RunwareServer, headers: dict[str, str], code: str) -> None:
        answer = fetch(runware_server.base_url, [image_task()], headers)
        assert (answer.status, answer.json()["errors"][0]["code"]) == (401, code)
        assert not runware_server.charged

    @pytest.mark.parametrize(
        ("given", "code", "details"),
        [
            ({"width": 500}, "invalidWidth", {"min": 128, "max": 2048, "multiplier": 64, "type": "integer"}),
            ({"height": 4096}, "invalidHeight", {"max": 2048}),
            ({"steps": 0}, "invalidSteps", {"min": 1, "max": 100}),
            ({"CFGScale": 51}, "invalidCFGScale", {"type": "float"}),
            ({"outputFormat": "GIF"}, "invalidOutputFormat", {"allowedValues": ["JPG", "PNG", "WEBP"]}),
            ({"positivePrompt": "x"}, "invalidPositivePrompt", {"min": 2, "max": 3000}),
            ({"model": "flux"}, "invalidModel", {"parameter": "model"}),
            ({"taskUUID": "1"}, "invalidTaskUUID", {"parameter": "taskUUID"}),
            ({"taskUUID": str(uuid.uuid1())}, "invalidTaskUUID", {}),
            ({"guidance": 3}, "unsupportedParameter", {"parameter": "guidance"}),
            ({"taskType": "imageInterference"}, "invalidTaskType", {}),
        ],
    )
    def test_what_is_refused(
        self, runware_server: RunwareServer, given: dict[str, Any], code: str, details: dict[str, Any]
    ) -> None:
        refused = image_task(**given)
        answer = send(runware_server, refused)
        [error] = answer.json()["errors"]
        assert (answer.status, error["code"]) == (400, code)
        assert error["taskUUID"] == refused["taskUUID"]
        assert error.items() >= details.items()
        assert not runware_server.charged

    def test_what_is_missing(self, runware_server: RunwareServer) -> None:
        refused = image_task()
        del refused["model"]
        [error] = send(runware_server, refused).json()["errors"]
        assert (error["code"], error["parameter"]) == ("missingModel", "model")

    @pytest.mark.parametrize("body", [{"model": "x"}, b"{", ["task"]])
    def test_what_is_no_array_of_tasks(self, runware_server: RunwareServer, body: Any) -> None:
        answer = fetch(runware_server.base_url, body, {"Authorization": "Bearer runware-key"})
        assert answer.status == 400
        assert fetch(f"{runware_server.base_url}/generate", body).status == 404

    def test_one_task_may_fail_and_another_succeed(self, runware_server: RunwareServer) -> None:
        good, bad = image_task(), image_task(width=1)
        answer = send(runware_server, good, bad)
        assert answer.status == 200
        assert [result["taskUUID"] for result in answer.json()["data"]] == [good["taskUUID"]]
        assert [error["taskUUID"] for error in answer.json()["errors"]] == [bad["taskUUID"]]

    def test_the_balance_runs_out(self) -> None:
        with RunwareServer(balance=0.002) as server:
            first, second = image_task(), image_task()
            answer = send(server, first, second)
            assert answer.status == 200
            assert answer.json()["errors"][0]["code"] == "insufficientCredits"
            assert send(server, second).status == 400
            [account] = send(server, task("accountManagement", operation="getDetails")).json()["data"]
            assert account["balance"] == {"amount": 0.0001, "freeBalance": 0, "currency": "USD"}
            assert server.charged == {first["taskUUID"]: 1}

    def test_a_dry_run_prices_and_checks_only(self, runware_server: RunwareServer) -> None:
        good, bad = image_task(numberResults=2), image_task(width=1)
        reply = send(runware_server, good, bad, **{"X-Runware-Dry-Run": "1"}).json()
        assert reply["data"] == [{"taskType": "imageInference", "taskUUID": good["taskUUID"], "cost": 0.0038}]
        assert reply["errors"][0]["code"] == "invalidWidth"
        assert not runware_server.charged
        assert send(runware_server, task("getTaskDetails", taskUUID=good["taskUUID"])).status == 404

    def test_an_asynchronous_task_is_polled(self, runware_server: RunwareServer) -> None:
        given = image_task(deliveryMethod="async")
        id = given["taskUUID"]
        assert send(runware_server, given).json() == {
            "data": [{"taskType": "imageInference", "taskUUID": id}]
        }
        [first] = send(runware_server, task("getResponse", taskUUID=id)).json()["data"]
        [second] = send(runware_server, task("getResponse", taskUUID=id)).json()["data"]
        assert (first["status"], second["status"]) == ("processing", "success")
        assert fetch(second["imageURL"]).status == 200
        assert send(runware_server, task("getResponse")).status == 404

    @pytest.mark.parametrize("fault", [runware.LOST_REPLY, runware.LOST_REPLY_504])
    def test_a_lost_reply_can_be_had_again(self, runware_server: RunwareServer, fault: LostReply) -> None:
        """And is paid for once."""
        given = image_task()
        runware_server.fail(fault)
        try:
            assert send(runware_server, given).status == 504
        except http.client.RemoteDisconnected:
            assert fault is runware.LOST_REPLY
        [past] = send(runware_server, task("getTaskDetails", taskUUID=given["taskUUID"])).json()["data"]
        assert past["request"] == [given]
        [result] = past["response"]["data"]
        assert fetch(result["imageURL"]).status == 200
        assert runware_server.charged == {given["taskUUID"]: 1}

    def test_the_same_task_again_is_paid_again(self, runware_server: RunwareServer) -> None:
        given = image_task()
        first, second = (send(runware_server, given).json()["data"][0] for _ in range(2))
        assert first["imageURL"] != second["imageURL"]
        assert runware_server.charged == {given["taskUUID"]: 2}

    @pytest.mark.parametrize(
        ("fault", "status", "code"),
        [
            (runware.INVALID_PROMPT, 400, "invalidPositivePrompt"),
            (runware.MISSING_PARAMETER, 400, "missingModel"),
            (runware.UNSUPPORTED_PARAMETER, 400, "unsupportedParameter"),
            (runware.UNSAFE_CONTENT, 400, "safetyContentDetected"),
            (runware.INVALID_API_KEY, 401, "invalidApiKey"),
            (runware.INSUFFICIENT_CREDITS, 400, "insufficientCredits"),
            (runware.INSUFFICIENT_CREDITS_200, 200, "insufficientCredits"),
            (runware.INSUFFICIENT_CREDITS_402, 402, "insufficientCredits"),
            (runware.INSUFFICIENT_BALANCE, 402, "insufficientBalance"),
            (runware.EXCEEDED_QUOTA, 402, "exceededQuota"),
            (runware.FORBIDDEN, 403, "forbidden"),
            (runware.NOT_FOUND, 404, "notFound"),
            (runware.RATE_LIMITED, 429, "exceededRateLimit"),
            (runware.SERVER_ERROR, 500, "internalError"),
            (runware.PROVIDER_ERROR, 500, "providerError"),
            (runware.UNAVAILABLE, 503, "serviceUnavailable"),
            (runware.TIMEOUT, 504, "timeoutProvider"),
        ],
    )
    def test_errors(
        self, runware_server: RunwareServer, fault: runware.TaskErrors, status: int, code: str
    ) -> None:
        runware_server.fail(fault)
        tasks = [image_task(), image_task()]
        answer = send(runware_server, *tasks)
        assert answer.status == status
        assert "data" not in answer.json()
        reported = [(error["code"], error["taskUUID"]) for error in answer.json()["errors"]]
        assert reported == [(code, given["taskUUID"]) for given in tasks]
        assert not runware_server.charged

    def test_partial_success(self, runware_server: RunwareServer) -> None:
        runware_server.fail(runware.PARTIAL_SUCCESS)
        spared, *others = tasks = [image_task() for _ in range(3)]
        answer = send(runware_server, *tasks)
        assert answer.status == 200
        assert [result["taskUUID"] for result in answer.json()["data"]] == [spared["taskUUID"]]
        failed = [error["taskUUID"] for error in answer.json()["errors"]]
        assert failed == [other["taskUUID"] for other in others]
        assert runware_server.charged == {spared["taskUUID"]: 1}

    def test_a_download_may_fail_too(self, runware_server: RunwareServer) -> None:
        [result] = send(runware_server, image_task()).json()["data"]
        runware_server.fail(runware.FORBIDDEN, when=lambda received: received.method == "GET")
        assert fetch(result["imageURL"]).status == 403


@pytest.mark.parametrize(
    ("service", "use"),
    [
        ("forvo", lambda url: fetch(f"{url}/key/forvo-key/format/json/action/word-pronunciations/word/agua")),
        ("openai", lambda url: fetch(f"{url}/models", headers={"Authorization": "Bearer openai-key"})),
        ("runware", lambda url: fetch(url, [task("ping")], {"Authorization": "Bearer runware-key"})),
    ],
    ids=["forvo", "openai", "runware"],
)
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM], ids=["interrupted", "terminated"])
def test_a_server_runs_in_a_process_of_its_own(
    service: str, use: Callable[[str], Answer], signal_number: int
) -> None:
    command = [sys.executable, "-W", "error", "-m", "deckwright.testing.servers", service, "--latency", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        [named] = tomli.loads("".join(iter(process.stdout.readline, "\n")))["providers"].values()
        assert use(named[service]["base_url"]).status == 200
        process.send_signal(signal_number)
        _, complaints = process.communicate(timeout=MINUTE)
    assert (process.returncode, complaints) == (0, "")
