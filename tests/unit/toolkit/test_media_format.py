"""The format of sounds and pictures: it is found by their content, and incomplete files are refused."""

from __future__ import annotations

import io
import struct
import wave
from pathlib import Path

import pytest

from deckwright import BadMediaError
from deckwright.testing.servers import samples
from deckwright.toolkit.media_format import media_ending, move_media, temporary_beside, write_media

COLOUR = (10, 20, 30)
PICTURES = {
    ending: samples.picture(format, 64, 48, COLOUR)
    for ending, format in (
        (".png", "png"),
        (".jpg", "jpeg"),
        (".webp", "webp"),
        (".gif", "gif"),
        (".svg", "svg"),
    )
}


def wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(2000))
    return file.getvalue()


SOUNDS = {
    ".mp3": samples.mp3(),
    ".wav": wav(),
    ".ogg": b"OggS" + bytes(200),
    ".flac": b"fLaC" + bytes(200),
    ".m4a": b"\x00\x00\x00\x20ftypM4A " + bytes(200),
    ".aac": b"\xff\xf1\x50\x80" + bytes(200),
}
OTHERS = {
    "an HTML page": b"\xef\xbb\xbf\n<!DOCTYPE html><html><body>Just a moment...</body></html>",
    "HTML": b"<HTML><head></head></HTML>",
    "JSON": b'{"error": {"message": "no such word"}}',
    "cut off JSON": b'[{"error": ',
    "nested JSON": b"[" * 100_000,
    "text": "not found: ñandú\n".encode(),
    "something unknown": bytes(range(1, 255)),
    "a zip file": b"PK\x03\x04" + bytes(100),
    "a pdf file": b"%PDF-1.7\n" + bytes(100),
    "a gz file": b"\x1f\x8b\x08" + bytes(100),
    "an exe file": b"MZ" + bytes(100),
    "zeros": bytes(1000),
}


def ending(tmp_path: Path, content: bytes, type: str) -> str:
    path = tmp_path / "file.bin"
    path.write_bytes(content)
    return media_ending(path, type)


class TestEndings:
    @pytest.mark.parametrize("expected", PICTURES)
    def test_pictures(self, tmp_path: Path, expected: str) -> None:
        assert ending(tmp_path, PICTURES[expected], "image") == expected

    @pytest.mark.parametrize("expected", SOUNDS)
    def test_sounds(self, tmp_path: Path, expected: str) -> None:
        assert ending(tmp_path, SOUNDS[expected], "audio") == expected

    @pytest.mark.parametrize(("brand", "expected"), [(b"isom", ".m4a"), (b"mp42", ".m4a")])
    def test_a_container_of_films_may_hold_sound_alone(
        self, tmp_path: Path, brand: bytes, expected: str
    ) -> None:
        content = b"\x00\x00\x00\x18ftyp" + brand + bytes(100)
        assert ending(tmp_path, content, "audio") == expected
        with pytest.raises(BadMediaError, match=r"an? mp4 file, but a picture was expected"):
            ending(tmp_path, content, "image")

    @pytest.mark.parametrize("size", [0x7FFFFFFF, 0xFFFFFFFF])
    def test_a_sound_whose_size_was_not_known_when_it_began(self, tmp_path: Path, size: int) -> None:
        content = b"RIFF" + size.to_bytes(4, "little") + b"WAVEfmt " + bytes(100)
        assert ending(tmp_path, content, "audio") == ".wav"

    @pytest.mark.parametrize(
        ("name", "expected"), [("cat.png", "cat.gif"), ("pic.1", "pic.1.gif"), ("St. Ives", "St. Ives.gif")]
    )
    def test_only_an_ending_is_replaced(self, tmp_path: Path, name: str, expected: str) -> None:
        assert write_media(b"GIF89a;", tmp_path / name, "image") == tmp_path / expected

    @pytest.mark.parametrize("second", [0xFB, 0xFA, 0xF3, 0xF2, 0xE3, 0xE2])
    def test_every_version_of_mp3(self, tmp_path: Path, second: int) -> None:
        assert ending(tmp_path, bytes([0xFF, second, 0x10, 0xC0]) + bytes(200), "audio") == ".mp3"

    @pytest.mark.parametrize("name", PICTURES)
    def test_a_picture_is_no_sound(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(BadMediaError, match="but a sound was expected"):
            ending(tmp_path, PICTURES[name], "audio")

    @pytest.mark.parametrize("name", SOUNDS)
    def test_a_sound_is_no_picture(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(BadMediaError, match=f"a {name[1:]} file, but a picture was expected"):
            ending(tmp_path, SOUNDS[name], "image")

    @pytest.mark.parametrize("name", OTHERS)
    @pytest.mark.parametrize("type", ["audio", "image"])
    def test_other_files_are_neither(self, tmp_path: Path, name: str, type: str) -> None:
        with pytest.raises(BadMediaError, match="was expected"):
            ending(tmp_path, OTHERS[name], type)

    @pytest.mark.parametrize(
        ("content", "description"),
        [
            (OTHERS["an HTML page"], "the file is an HTML page"),
            (OTHERS["JSON"], "no such word"),
            (OTHERS["cut off JSON"], "the file is JSON"),
            (OTHERS["nested JSON"], "the file is JSON"),
            (OTHERS["text"], "the file is text"),
            (OTHERS["something unknown"], "the file is of an unknown format"),
            (OTHERS["a pdf file"], "the file is a pdf file"),
            (b"", "the file is empty"),
        ],
    )
    def test_it_is_said_what_was_found(self, tmp_path: Path, content: bytes, description: str) -> None:
        with pytest.raises(BadMediaError) as caught:
            ending(tmp_path, content, "audio")
        assert description in caught.value.message
        assert len(caught.value.message) < 200


class TestCutOff:
    @pytest.mark.parametrize("name", PICTURES)
    @pytest.mark.parametrize("share", [0.5, 0.98])
    def test_pictures(self, tmp_path: Path, name: str, share: float) -> None:
        content = PICTURES[name]
        with pytest.raises(BadMediaError, match="incomplete"):
            ending(tmp_path, content[: int(len(content) * share)], "image")

    def test_a_moving_png(self, tmp_path: Path) -> None:
        png = PICTURES[".png"]
        moving = png[:33] + struct.pack(">I4sIII", 8, b"acTL", 1, 0, 0) + png[33:]
        assert ending(tmp_path, moving, "image") == ".apng"
        with pytest.raises(BadMediaError, match="incomplete"):
            ending(tmp_path, moving[:-8], "image")

    @pytest.mark.parametrize("share", [0.5, 0.99])
    def test_waves(self, tmp_path: Path, share: float) -> None:
        with pytest.raises(BadMediaError, match="incomplete"):
            ending(tmp_path, wav()[: int(len(wav()) * share)], "audio")

    @pytest.mark.parametrize("name", [".png", ".jpg", ".gif", ".webp"])
    def test_a_few_bytes_more_do_no_harm(self, tmp_path: Path, name: str) -> None:
        assert ending(tmp_path, PICTURES[name] + bytes(2), "image") == name


def svg(inside: str = "", attributes: str = "", before: str = "") -> bytes:
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f"{before}<svg {names} {attributes}>{inside}</svg>".encode()


class TestSVG:
    @pytest.mark.parametrize(
        "content",
        [
            svg(),
            b"\xef\xbb\xbf \n" + svg("<circle r='5'/>"),
            svg(before='<?xml version="1.0" encoding="UTF-8"?>\n<!-- <script> -->\n'),
            svg(
                before='<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" '
                '"http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'
            ),
            svg('<defs><g id="a"/></defs><use href="#a"/><use xlink:href="#a"/><use href=""/>'),
            svg("<rect fill='url(#a)'/><rect fill=\"url( '#a' )\"/><rect fill='url(\"#a\")'/>"),
            svg('<image href="data:image/png;base64,iVBORw0KGgo="/>'),
            svg("<style>@font-face {src: url(data:font/woff2;base64,AA)} rect {fill: url(#a)}</style>"),
            svg(r'<text font-family="\5b8b\4f53">犬</text>'),
            svg(r"<title>javascript: @import url(x) C:\temp</title><text>onload=1</text>"),
            svg(
                '<i:view xmlns:i="http://www.inkscape.org/" i:export="C:\\bird.png"><i:link about="http://x"/></i:view>'
            ),
            b"<svg><rect/></svg>",
        ],
    )
    def test_what_only_shows_itself(self, tmp_path: Path, content: bytes) -> None:
        assert ending(tmp_path, content, "image") == ".svg"

    @pytest.mark.parametrize(
        "content",
        [
            svg("<script>alert(1)</script>"),
            svg('<x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>'),
            svg('<x:img xmlns:x="http://www.w3.org/1999/xhtml" src="http://x/"/>'),
            svg("<foreignObject><p>words</p></foreignObject>"),
            svg(attributes='onload="alert(1)"'),
            svg('<rect ONCLICK="alert(1)"/>'),
            svg('<set attributeName="href" to="x"/>'),
            svg('<animate attributeName="href" values="x"/>'),
            svg('<image href="http://x/seen.png"/>'),
            svg('<image href="//x/seen.png"/>'),
            svg('<image href="seen.png"/>'),
            svg('<use xlink:href="file:///etc/passwd#a"/>'),
            svg('<image href="http://x/seen.png" xlink:href="#a"/>'),
            svg('<image xlink:href="#a" href="http://x/seen.png"/>'),
            svg('<a href=" javascript:alert(1)"/>'),
            svg('<a href="data:text/html,words"/>'),
            svg('<rect fill="url(http://x/#a)"/>'),
            svg("<rect style=\"fill: URL( 'x.svg#a' )\"/>"),
            svg("<style>@import 'http://x/seen.css';</style>"),
            svg("<style>/* <g/> */ @import 'http://x/seen.css';</style>"),
            svg("<style>rect {fill: url(//x/seen)}</style>"),
            svg(r"<style>rect {fill: u\72l(//x/seen)}</style>"),
            svg(r"<style>@\000069mport 'http://x/seen.css';</style>"),
            svg(r"<style>rect {fill: \url(//x/seen)}</style>"),
            svg("&words;", before='<!DOCTYPE svg [<!ENTITY words "birds">]>'),
            svg("&words;", before='<!DOCTYPE svg [<!ENTITY words SYSTEM "file:///etc/passwd">]>'),
            svg(before='<!DOCTYPE svg [<!ENTITY % words SYSTEM "http://x/"> %words;]>'),
            svg(before='<!DOCTYPE svg [<!ATTLIST svg onload CDATA "alert(1)">]>'),
            svg(before='<?xml-stylesheet href="http://x/seen.css"?>'),
            svg("<!-- " + "x" * 2_000_000 + " -->"),
            svg()[:-3],
            svg("<g>"),
            svg("&nbsp;"),
            svg(before='<?xml version="1.0" encoding="utf-7"?>'),
            svg(before='<?xml version="1.0" encoding="nonsense"?>'),
            b"<svg>\xff</svg>",
        ],
    )
    def test_what_does_more_or_is_broken(self, tmp_path: Path, content: bytes) -> None:
        with pytest.raises(BadMediaError, match="the SVG picture"):
            ending(tmp_path, content, "image")

    def test_one_that_is_nested_without_end(self, tmp_path: Path) -> None:
        assert ending(tmp_path, svg("<g>" * 100_000 + "</g>" * 100_000), "image") == ".svg"

    def test_it_is_no_sound(self, tmp_path: Path) -> None:
        with pytest.raises(BadMediaError, match="but a sound was expected"):
            ending(tmp_path, svg(), "audio")


class TestKeeping:
    def test_it_is_written_with_the_ending_of_its_content(self, tmp_path: Path) -> None:
        path = write_media(PICTURES[".png"], tmp_path / "a" / "b" / "bird.jpg", "image")
        assert path == tmp_path / "a" / "b" / "bird.png"
        assert path.read_bytes() == PICTURES[".png"]
        assert list(path.parent.iterdir()) == [path]

    @pytest.mark.parametrize("content", [b"", PICTURES[".png"][:-9], b"<html></html>", SOUNDS[".mp3"]])
    def test_or_not_at_all(self, tmp_path: Path, content: bytes) -> None:
        target = tmp_path / "bird.png"
        target.write_bytes(b"before")
        with pytest.raises(BadMediaError):
            write_media(content, target, "image")
        assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"bird.png": b"before"}

    def test_what_is_refused_stays_where_it_is(self, tmp_path: Path) -> None:
        temporary = tmp_path / "temporary"
        temporary.write_bytes(b"words")
        with pytest.raises(BadMediaError):
            move_media(temporary, tmp_path / "bird.png", "image")
        assert [file.name for file in tmp_path.iterdir()] == ["temporary"]

    def test_two_at_once_are_not_in_each_others_way(self, tmp_path: Path) -> None:
        target = tmp_path / "bird.png"
        with temporary_beside(target) as first, temporary_beside(target) as second:
            assert first != second
            assert first.parent == second.parent == tmp_path
            first.write_bytes(PICTURES[".png"])
            second.write_bytes(PICTURES[".gif"])
            move_media(first, target, "image")
        assert [file.name for file in tmp_path.iterdir()] == ["bird.png"]

    def test_nothing_is_left_when_writing_is_interrupted(self, tmp_path: Path) -> None:
        def interrupted() -> None:
            with temporary_beside(tmp_path / "bird.png") as temporary:
                temporary.write_bytes(b"half")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert not list(tmp_path.iterdir())
