"""Downloads: kept when they are whole and what they should be, from public addresses, with nothing given away."""

from __future__ import annotations

import gzip
import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deckwright import BadMediaError, MediaRequest, ProviderError, QuotaError, TransientError
from deckwright.testing.servers import (
    Dropped,
    Exchange,
    GzipBomb,
    HtmlPage,
    Oversized,
    Redirect,
    Reply,
    Slow,
    Truncated,
    samples,
)
from deckwright.toolkit.http import error_for

Make = Callable[..., Any]

SOUND = samples.mp3("one", seconds=1)
PICTURE = samples.picture("png", 64, 64, (1, 2, 3))
PUBLIC, OTHER_PUBLIC = "93.184.216.34", "93.184.216.35"
LARGEST = 100_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where files are downloaded to; it is not there yet."""
    return tmp_path / "media"


@pytest.fixture
def files(service: Any, internet: Any) -> str:
    """The service as others know it: by a name with a public address."""
    internet.names |= {"api.service.test": [[PUBLIC]], "files.service.test": [[PUBLIC]]}
    service.files["/one.mp3"] = Reply(200, SOUND)
    return f"http://files.service.test:{service.port}"


class Watched:
    """Sends one half, and the other when that has arrived."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[str] = []

    def apply(self, exchange: Exchange) -> None:
        half = len(SOUND) // 2
        exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(SOUND) + SOUND[:half])
        for _ in range(1000):
            found = list(self.folder.iterdir()) if self.folder.exists() else []
            self.seen = [file.name for file in found]
            if self.seen:
                break
            exchange.wait(0.01)
        exchange.write(SOUND[half:])


class TestWhatIsKept:
    @pytest.mark.parametrize(
        ("content", "type", "asked", "name"),
        [
            (SOUND, "audio", "one.mp3", "one.mp3"),
            (SOUND, "audio", "one.ogg", "one.mp3"),
            (b"OggS" + bytes(100), "audio", "one.mp3", "one.ogg"),
            (PICTURE, "image", "one.jpg", "one.png"),
            (samples.picture("jpeg", 64, 64, (1, 2, 3)), "image", "one.png", "one.jpg"),
            (samples.picture("webp", 64, 64, (1, 2, 3)), "image", "one.png", "one.webp"),
            (samples.picture("gif", 64, 64, (1, 2, 3)), "image", "one.png", "one.gif"),
            (samples.picture("svg", 64, 64, (1, 2, 3)), "image", "one.png", "one.svg"),
        ],
    )
    def test_it_is_called_what_it_is(
        self, service: Any, birds: Make, folder: Path, content: bytes, type: str, asked: str, name: str
    ) -> None:
        service.files["/one"] = Reply(200, content, {"Content-Type": "text/plain"})
        assert birds().http.download(f"{service.url}/one", folder / asked, type) == folder / name
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == {name: content}

    def test_it_replaces_what_was_there(self, service: Any, birds: Make, folder: Path) -> None:
        service.files["/one"] = Reply(200, SOUND)
        folder.mkdir()
        (folder / "one.mp3").write_bytes(b"before")
        birds().http.download(f"{service.url}/one", folder / "one.mp3", "audio")
        assert (folder / "one.mp3").read_bytes() == SOUND

    @pytest.mark.skipif(os.name != "posix", reason="permissions are of POSIX")
    def test_others_may_read_it_as_any_file(self, service: Any, birds: Make, folder: Path) -> None:
        service.files["/one"] = Reply(200, SOUND)
        path = birds().http.download(f"{service.url}/one", folder / "one.mp3", "audio")
        (folder / "any").touch()
        assert path.stat().st_mode == (folder / "any").stat().st_mode

    def test_until_it_is_whole_it_is_in_a_file_of_another_name(
        self, service: Any, birds: Make, folder: Path
    ) -> None:
        watched = Watched(folder)
        service.fail(watched)
        birds().http.download(f"{service.url}/one", folder / "one.mp3", "audio")
        assert len(watched.seen) == 1
        assert watched.seen != ["one.mp3"]
        assert [file.name for file in folder.iterdir()] == ["one.mp3"]

    def test_it_is_never_in_memory_as_a_whole(self, service: Any, birds: Make, folder: Path) -> None:
        http = birds().http
        with pytest.raises(BadMediaError):
            http.download(f"{service.url}/none", folder / "one.mp3", "audio")
        service.fail(Oversized(size=25_000_000, start=SOUND))
        tracemalloc.start()
        path = http.download(f"{service.url}/one", folder / "one.mp3", "audio")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert path.stat().st_size == 25_000_000
        assert peak < 5_000_000

    def test_it_may_be_compressed_on_its_way(self, service: Any, birds: Make, folder: Path) -> None:
        svg = samples.picture("svg", 64, 64, (1, 2, 3))
        service.fail(Reply(200, gzip.compress(svg), {"Content-Encoding": "gzip"}))
        path = birds().http.download(f"{service.url}/one", folder / "one.png", "image")
        assert path.read_bytes() == svg

    @pytest.mark.parametrize(
        "target",
        ["/../../outside.mp3", "/a/..%2f..%2foutside.mp3", "/?file=../../outside.mp3", "/C:%5Coutside.mp3"],
    )
    def test_the_service_has_no_say_in_where_it_goes(
        self, service: Any, birds: Make, folder: Path, target: str
    ) -> None:
        service.fail(
            Reply(200, SOUND, {"Content-Disposition": 'attachment; filename="../../outside.mp3"'}), times=None
        )
        birds().http.download(service.url + target, folder / "one.mp3", "audio")
        assert [path.name for path in folder.parent.rglob("*")] == ["media", "one.mp3"]

    def test_a_batch_comes_in_order(self, service: Any, birds: Make, folder: Path) -> None:
        for number in range(20):
            service.files[f"/{number}"] = Reply(200, samples.mp3(f"{number}"))
        requests = [
            MediaRequest("audio", f"{service.url}/{number}", {}, folder / f"{number}.mp3")
            for number in range(21)
        ]
        *results, last = birds(max_concurrent=4).generate_batch(requests)
        assert [result.file_path.read_bytes() for result in results] == [
            samples.mp3(f"{n}") for n in range(20)
        ]
        assert isinstance(last.failure, BadMediaError)


class TestWhatIsNotKept:
    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            pytest.param(Slow(30), TransientError, id="slow"),
            pytest.param(Truncated(reply=Reply(200, SOUND)), TransientError, id="truncated"),
            pytest.param(Dropped(), TransientError, id="dropped"),
            pytest.param(Dropped(after=1000), TransientError, id="dropped within the body"),
            pytest.param(Dropped(after=1000, reset=True), TransientError, id="reset within the body"),
            pytest.param(HtmlPage(), BadMediaError, id="page"),
            pytest.param(Reply.of_json({"error": "none"}), BadMediaError, id="JSON"),
            pytest.param(Reply(200, b"[" * 9000), BadMediaError, id="nested JSON"),
            pytest.param(Reply(200, b"a few words"), BadMediaError, id="text"),
            pytest.param(Reply(200), BadMediaError, id="nothing"),
            pytest.param(Reply(204), BadMediaError, id="no content"),
            pytest.param(Reply(304), BadMediaError, id="redirect to nowhere"),
            pytest.param(Reply(200, PICTURE), BadMediaError, id="picture"),
            pytest.param(Reply(200, b"%PDF-1.7 " + bytes(99)), BadMediaError, id="PDF"),
            pytest.param(Oversized(start=SOUND), BadMediaError, id="oversized"),
            pytest.param(Oversized(start=SOUND, declared=False), BadMediaError, id="oversized, undeclared"),
            pytest.param(GzipBomb(content_type="audio/mpeg"), BadMediaError, id="bomb"),
            pytest.param(GzipBomb(layers=2), BadMediaError, id="bomb in a bomb"),
            pytest.param(Reply(200, SOUND, {"Content-Encoding": "br"}), BadMediaError, id="encoding"),
            pytest.param(Reply(200, SOUND, {"Content-Encoding": "gzip"}), TransientError, id="no gzip"),
            pytest.param(Reply(404), BadMediaError, id="404"),
            pytest.param(Reply(401), BadMediaError, id="401"),
            pytest.param(Reply(403), BadMediaError, id="403"),
            pytest.param(Reply(500), TransientError, id="500"),
            pytest.param(Reply(404, b"<html>" + b" " * 500_000), BadMediaError, id="long 404"),
            pytest.param(Reply(503, b"<html>" + b" " * 500_000), TransientError, id="long 503"),
            pytest.param(Reply(404, b"?", {"Content-Encoding": "br"}), BadMediaError, id="encoded 404"),
        ],
    )
    def test_nothing_is_left_of_it(
        self, service: Any, birds: Make, folder: Path, fault: Any, error: type[ProviderError]
    ) -> None:
        folder.mkdir()
        (folder / "one.mp3").write_bytes(b"before")
        service.files["/one"] = Reply(200, SOUND)
        service.fail(fault)
        http = birds(timeout=0.3 if isinstance(fault, Slow) else 10).http
        tracemalloc.start()
        with pytest.raises(ProviderError) as caught:
            http.download(f"{service.url}/one", folder / "one.mp3", "audio", max_bytes=LARGEST)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert type(caught.value) is error
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == {"one.mp3": b"before"}
        assert peak < 20_000_000  # of which most is the server's
        assert len(service.requests) == 1

    @pytest.mark.parametrize(
        "inside",
        [
            "<script>alert(1)</script>",
            '<rect onload="alert(1)"/>',
            '<image href="https://example.org/seen.png"/>',
            "&words;",
        ],
    )
    def test_a_picture_that_runs_or_fetches_anything(
        self, service: Any, birds: Make, folder: Path, inside: str
    ) -> None:
        doctype = '<!DOCTYPE svg [<!ENTITY words "birds">]>' if "&" in inside else ""
        picture = f'{doctype}<svg xmlns="http://www.w3.org/2000/svg">{inside}</svg>'
        service.fail(Reply(200, picture.encode(), {"Content-Type": "image/svg+xml"}))
        with pytest.raises(BadMediaError, match="SVG"):
            birds().http.download(f"{service.url}/one", folder / "one.png", "image")
        assert not list(folder.iterdir())

    def test_a_service_may_report_an_error_in_place_of_a_file(
        self, service: Any, birds: Make, folder: Path, provider_class: Any
    ) -> None:
        class Polite(provider_class):  # type: ignore[misc]
            def _error_for(self, reply: Any) -> ProviderError | None:
                if reply.status == 200 and "spent" in reply.json():
                    return QuotaError("all is spent")
                return error_for(reply)

        service.fail(Reply.of_json({"spent": True}))
        with pytest.raises(QuotaError):
            birds(Polite).http.download(f"{service.url}/one", folder / "one.mp3", "audio")
        assert not list(folder.iterdir())

    @pytest.mark.usefixtures("at_once")
    @pytest.mark.parametrize("fault", [HtmlPage(), Truncated(), Reply(500), Dropped(after=9)])
    def test_another_try_may_succeed(self, service: Any, birds: Make, folder: Path, fault: Any) -> None:
        service.files["/one"] = Reply(200, SOUND)
        service.fail(fault)
        birds(max_retries=1).http.download(f"{service.url}/one", folder / "one.mp3", "audio")
        assert [file.name for file in folder.iterdir()] == ["one.mp3"]

    @pytest.mark.usefixtures("at_once")
    def test_what_is_wrong_twice_is_given_up(self, service: Any, birds: Make, folder: Path) -> None:
        service.fail(HtmlPage(), times=None)
        with pytest.raises(BadMediaError, match="an HTML page, but a sound was expected"):
            birds(max_retries=5).http.download(f"{service.url}/one", folder / "one.mp3", "audio")
        assert len(service.requests) == 2


class TestRedirects:
    def download(self, birds: Make, folder: Path, url: str, **settings: Any) -> Path:
        path = birds(**settings).http.download(url, folder / "one.mp3", "audio")
        assert isinstance(path, Path)
        return path

    def test_they_are_followed(self, service: Any, birds: Make, folder: Path) -> None:
        service.files["/words/one.mp3"] = Reply(200, SOUND)
        hops = ["/b", f"{service.url}/words/c", "d", "?e", "one.mp3"]
        for hop, status in zip(hops, (301, 302, 303, 307, 308), strict=True):
            service.fail(Redirect(hop, status))
        path = self.download(birds, folder, f"{service.url}/a", max_concurrent=1)
        assert path.read_bytes() == SOUND
        assert service.paths == ["/a", "/b", "/words/c", "/words/d", "/words/d?e", "/words/one.mp3"]

    @pytest.mark.parametrize("hop", ["/a", "/a/b", "?c"])
    def test_they_have_an_end(self, service: Any, birds: Make, folder: Path, hop: str) -> None:
        service.fail(Redirect(hop), times=None)
        with pytest.raises(BadMediaError, match="too many times"):
            self.download(birds, folder, f"{service.url}/a")
        assert len(service.requests) == 6
        assert not folder.exists()

    @pytest.mark.parametrize(
        "link",
        [
            "file:///etc/passwd",
            "ftp://files.service.test/one.mp3",
            "gopher://files.service.test/",
            "data:audio/mpeg;base64,SUQz",
            "javascript:alert(1)",
            "http://[::1",
            "http://files.service.test:port/",
            "http://files.service.test:99999/",
            "http://files.service.test/\x01",
            "http://" + "a" * 64 + ".org/",
        ],
    )
    @pytest.mark.parametrize("redirected", [False, True])
    def test_not_to_what_is_no_address_of_the_web(
        self,
        service: Any,
        birds: Make,
        folder: Path,
        files: str,
        internet: Any,
        link: str,
        redirected: bool,
    ) -> None:
        service.fail(Redirect(link))
        # Where it is too odd for httpx, that has a word of its own for it.
        with pytest.raises(ProviderError if redirected else BadMediaError):
            self.download(birds, folder, f"{files}/a" if redirected else link)
        assert internet.connected == ["files.service.test"] * redirected
        assert len(service.requests) == redirected
        assert not folder.exists()

    @pytest.mark.parametrize(
        "link", ["", "/one.mp3", "one.mp3", "//127.0.0.1/one.mp3", "http://", "http://:80/"]
    )
    def test_a_link_names_its_host(self, service: Any, birds: Make, folder: Path, link: str) -> None:
        with pytest.raises(BadMediaError, match="not a valid address"):
            self.download(birds, folder, link)
        assert not service.requests

    def test_not_from_a_secure_service_to_an_insecure_address(
        self, service: Any, birds: Make, folder: Path, files: str, internet: Any
    ) -> None:
        with pytest.raises(BadMediaError, match="http: address"):
            self.download(birds, folder, f"{files}/one.mp3", base_url="https://api.service.test")
        assert not internet.connected

    def test_credentials_of_a_link_stay_with_its_host(
        self, service: Any, birds: Make, folder: Path, files: str, internet: Any
    ) -> None:
        internet.names["elsewhere.test"] = [[OTHER_PUBLIC]]
        service.fail(Redirect(f"http://elsewhere.test:{service.port}/one.mp3"))
        self.download(birds, folder, files.replace("//", "//name:password@") + "/a")
        first, second = service.requests
        assert first.headers["authorization"].startswith("Basic ")
        assert "authorization" not in second.headers
        assert second.headers["host"] == f"elsewhere.test:{service.port}"


class TestAddresses:
    PRIVATE = (
        "127.0.0.1",
        "127.8.8.8",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::10.0.0.1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00::1]",
        "[fec0::1]",
        "inside.test",
        "both.test",
    )

    @pytest.fixture
    def decoy(self, other_service: Any, internet: Any) -> Any:
        """Something on this machine that nobody else should reach."""
        other_service.files["/one.mp3"] = Reply(200, SOUND)
        internet.names |= {"inside.test": [["10.0.0.1"]], "both.test": [[PUBLIC, "127.0.0.1"]]}
        return other_service

    def download(self, birds: Make, folder: Path, url: str, base: str = "http://api.service.test") -> None:
        birds(base_url=base).http.download(url, folder / "one.mp3", "audio")

    def test_public_ones_are_fetched_from(self, birds: Make, folder: Path, files: str) -> None:
        self.download(birds, folder, f"{files}/one.mp3")
        assert (folder / "one.mp3").read_bytes() == SOUND

    @pytest.mark.parametrize("host", PRIVATE)
    @pytest.mark.parametrize("redirected", [False, True])
    def test_private_ones_are_not(
        self,
        service: Any,
        birds: Make,
        folder: Path,
        files: str,
        decoy: Any,
        internet: Any,
        host: str,
        redirected: bool,
    ) -> None:
        link = f"http://{host}:{decoy.port}/one.mp3"
        service.fail(Redirect(link))
        with pytest.raises(BadMediaError, match="on this machine or network"):
            self.download(birds, folder, f"{files}/a" if redirected else link)
        assert internet.connected == ["files.service.test"] * redirected
        assert not decoy.requests
        assert not folder.exists()

    @pytest.mark.parametrize("host", ["files.service.test", "api.service.test"])
    @pytest.mark.parametrize("no_proxy", ["", "example.org"])
    def test_a_name_may_not_change_to_a_private_one(
        self,
        birds: Make,
        folder: Path,
        files: str,
        decoy: Any,
        internet: Any,
        monkeypatch: pytest.MonkeyPatch,
        host: str,
        no_proxy: str,
    ) -> None:
        monkeypatch.setenv("no_proxy", no_proxy)
        # The service's own is looked up once more, to know it again.
        looked_up = [[PUBLIC]] * (2 if host == "api.service.test" else 1)
        internet.names[host] = [*looked_up, ["127.0.0.1"]]
        with pytest.raises(BadMediaError, match="on this machine or network"):
            self.download(birds, folder, f"http://{host}:{decoy.port}/one.mp3")
        assert internet.connected == [host]
        assert not decoy.requests
        assert not folder.exists()

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
    def test_a_service_on_this_machine_may_name_it_as_it_likes(
        self, service: Any, birds: Make, folder: Path, host: str
    ) -> None:
        if host.startswith("[") and sys.platform != "linux":
            pytest.skip("not every system reaches IPv4 by IPv6 addresses")
        service.files["/one.mp3"] = Reply(200, SOUND)
        self.download(birds, folder, f"http://{host}:{service.port}/one.mp3", service.url)
        assert (folder / "one.mp3").read_bytes() == SOUND

    @pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "inside.test", "[fd00::1]"])
    def test_but_not_others_of_its_network(
        self, service: Any, birds: Make, folder: Path, decoy: Any, internet: Any, host: str
    ) -> None:
        with pytest.raises(BadMediaError, match="on this machine or network"):
            self.download(birds, folder, f"http://{host}:{decoy.port}/one.mp3", service.url)
        assert not internet.connected

    def test_a_service_of_the_network_has_its_own(
        self, service: Any, birds: Make, folder: Path, files: str, internet: Any
    ) -> None:
        internet.names["nas.test"] = [["192.168.1.5"]]
        link = f"http://nas.test:{service.port}/one.mp3"
        self.download(birds, folder, link, "http://nas.test")
        assert (folder / "one.mp3").read_bytes() == SOUND
        with pytest.raises(BadMediaError):
            self.download(birds, folder, link)

    def test_a_name_that_cannot_be_found(self, birds: Make, folder: Path, internet: Any) -> None:
        with pytest.raises(TransientError, match="cannot be reached"):
            self.download(birds, folder, "http://nowhere.test/one.mp3")

    def test_a_proxy_knows_names_by_itself(
        self, service: Any, birds: Make, folder: Path, internet: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        link = "http://known-to-the-proxy.invalid/one.mp3"
        service.files[link] = Reply(200, SOUND)
        monkeypatch.setenv("http_proxy", service.url)
        self.download(birds, folder, link)
        assert service.paths == [link]
        assert internet.connected == ["127.0.0.1"]

    @pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254"])
    def test_nor_may_a_proxy_be_sent_to_private_ones(
        self, service: Any, birds: Make, folder: Path, monkeypatch: pytest.MonkeyPatch, host: str
    ) -> None:
        monkeypatch.setenv("http_proxy", service.url)
        with pytest.raises(BadMediaError):
            self.download(birds, folder, f"http://{host}/one.mp3", "http://93.184.216.34")
        assert not service.requests


class TestNothingGoesAlong:
    def test_neither_key_nor_cookie(self, service: Any, birds: Make, folder: Path) -> None:
        cookie = {"Set-Cookie": "bird=robin; Path=/"}
        service.files |= {"/one.mp3": Reply(200, SOUND, cookie), "/two.mp3": Reply(200, SOUND, cookie)}
        http = birds().http
        service.fail(Reply(200, b"{}", cookie))
        http.request("GET", f"{service.url}/api")
        service.fail(Redirect("/two.mp3"))
        for name in ("one", "two", "two"):
            http.download(f"{service.url}/{name}.mp3", folder / f"{name}.mp3", "audio")
        asked, *downloads = service.requests
        assert asked.headers["authorization"] == "Bearer open-sesame"
        assert len(downloads) == 4
        for received in downloads:
            assert not {"authorization", "cookie", "referer"} & set(received.headers)
            assert "open-sesame" not in str(received)
