"""Files of sound and pictures: told by their content, whatever they are called, and kept only when they are whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4
from xml.etree import ElementTree

from deckwright.errors import BadMediaError

# Containers of films, which hold nothing but sound as well, and their endings then.
_MAY_BE_SOUND = {"video/mp4": ".m4a", "video/webm": ".webm"}
# Endings in place of which another may be put; any other is part of a file's name.
_ENDINGS = {".aac", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".webm"} | {
    *(".apng", ".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".svg", ".webp")
}
# A size that a program writes which does not know it yet.
_UNKNOWN_SIZE = 0x7FFF_FF00
# What is read of either end of a file to tell what it is and whether it is all there.
_ENDS = 8192
_MAY_DO_HARM = {"script", "foreignobject", "iframe", "embed", "object", "handler", "set", "animate"}
# CSS that names something outside of the picture, or may do so in disguise.
_OUTWARD = re.compile(
    r"javascript:|@import|url\((?!\s*['\"]?\s*(?:#|data:))"
    r"|\\0*[0-7]?[0-9a-f](?![0-9a-f])|\\[g-z]",  # a letter of ASCII as an escape, which nobody needs
    re.IGNORECASE,
)
_XHTML = "{http://www.w3.org/1999/xhtml}"
# An SVG is text, and needs to be read as a whole; a picture for a card is far smaller than this.
_LARGEST_SVG = 2_000_000
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]+")


def media_ending(path: Path, type: str) -> str:
    """Return the ending for a file's content, such as `".mp3"`.

    Args:
        path: The file.
        type: What it should be: `"audio"` or `"image"`.

    Raises:
        BadMediaError: It is something else, is cut off, or is a picture that could run a program.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_ENDS)
        file.seek(max(0, size - _ENDS))
        tail = file.read()
    wanted = "a sound" if type == "audio" else "a picture"
    if not head:
        raise BadMediaError(f"it is empty, where {wanted} was expected")
    if type == "image" and _is_svg(head):
        _require_harmless(path, size)
        return ".svg"
    found = _guess(head)
    if type == "audio" and found and found[1] in _MAY_BE_SOUND:
        return _MAY_BE_SOUND[found[1]]
    if found is None or not found[1].startswith(f"{type}/"):
        raise BadMediaError(f"it is {_told(head, found)}, where {wanted} was expected")
    if not _is_whole(found[0], size, head, tail):
        raise BadMediaError(f"it is a {found[0]} file that is cut off")
    return f".{found[0]}"


def keep_media(temporary: Path, target: Path, type: str) -> Path:
    """Give a finished file its place: beside `target`, with the ending of its content.

    Raises:
        BadMediaError: It is not what it should be. Then it stays where it is.
    """
    ending = media_ending(temporary, type)
    stem = target.stem if target.suffix.lower() in _ENDINGS else target.name
    kept = target.with_name(f"{stem}{ending}")
    temporary.replace(kept)
    return kept


def write_media(content: bytes, target: Path, type: str) -> Path:
    """Write a sound or picture as a whole or not at all; return the file, with the ending of its content.

    Raises:
        BadMediaError: `content` is not what it should be.
    """
    with temporary_beside(target) as temporary:
        temporary.write_bytes(content)
        return keep_media(temporary, target, type)


class temporary_beside:  # noqa: N801 - it is used as a function
    """A context with a name for a file in the folder of `target`, which is gone afterwards unless it was moved."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __enter__(self) -> Path:
        folder = self._target.parent
        folder.mkdir(parents=True, exist_ok=True)
        # Not by `tempfile`, whose files nobody else may read, wherever they are moved.
        self._path = folder / f".deckwright-{uuid4().hex}.part"
        return self._path

    def __exit__(self, *exception: object) -> None:
        self._path.unlink(missing_ok=True)


def _guess(head: bytes) -> tuple[str, str] | None:
    import filetype

    found = filetype.guess(head)
    if found is None and head[0] == 0xFF and len(head) > 1 and head[1] & 0xE6 == 0xE2:
        return "mp3", "audio/mpeg"  # a frame of layer III of any version, which filetype does not know all of
    return (found.extension, found.mime) if found else None


def _told(head: bytes, found: tuple[str, str] | None) -> str:
    """Say in words what it is that is not wanted."""
    if found:
        return f"a {found[0]} file"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:100].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if start.startswith((b"[", b"{")):
        try:
            return f"JSON ({json.dumps(json.loads(head))[:80]})"
        except (ValueError, RecursionError):  # cut off, or nested without end
            return "JSON"
    return "text" if _TEXT.fullmatch(head) else "something unknown"


def _is_whole(ending: str, size: int, head: bytes, tail: bytes) -> bool:
    """Say whether a file has the end that files of its kind have; of some kinds that cannot be told."""
    if ending in ("png", "apng"):
        return b"IEND\xaeB`\x82" in tail
    if ending == "jpg":
        return b"\xff\xd9" in tail
    if ending == "gif":
        return tail.rstrip(b"\0").endswith(b"\x3b")
    if ending in ("webp", "wav") and head.startswith(b"RIFF"):
        told = int.from_bytes(head[4:8], "little")
        return size >= told + 8 or told >= _UNKNOWN_SIZE
    return True


def _is_svg(head: bytes) -> bool:
    text = re.sub(rb"<\?xml.*?\?>|<!--.*?-->|<!doctype[^>\[]*>", b"", head, flags=re.DOTALL | re.IGNORECASE)
    return text.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<svg", b"<!doctype svg"))


def _require_harmless(path: Path, size: int) -> None:
    """Refuse an SVG that would do anything but be looked at.

    Raises:
        BadMediaError: It runs a script, refers to something outside of itself, or is not well-formed.
    """
    if size > _LARGEST_SVG:
        raise BadMediaError("it is an SVG picture of more than 2 MB")
    content = path.read_bytes()
    if b"<!ENTITY" in content or b"<?xml-stylesheet" in content:
        raise BadMediaError("it is an SVG picture that brings definitions of its own")
    try:
        elements = list(ElementTree.fromstring(content).iter())  # noqa: S314 - without entities it cannot blow up
    except (ElementTree.ParseError, ValueError, LookupError):
        raise BadMediaError("it is an SVG picture that is cut off or not well-formed") from None
    for element in elements:
        name = str(element.tag).rpartition("}")[2].lower()
        attributes = [(key.rpartition("}")[2].lower(), value) for key, value in element.attrib.items()]
        if (
            name in _MAY_DO_HARM
            or str(element.tag).startswith(_XHTML)
            or any(key.startswith("on") for key, _ in attributes)
            or any(key == "href" and not _is_within(value) for key, value in attributes)
            or any(map(_OUTWARD.search, _styles(element)))
        ):
            raise BadMediaError(f"it is an SVG picture that does more than show itself (<{name}>)")


def _is_within(link: str) -> bool:
    return link.lstrip().lower().startswith(("#", "data:image/")) or not link


def _styles(element: ElementTree.Element) -> Iterator[str]:
    """Yield what may be CSS: the attributes of SVG itself, and the text of a <style>."""
    yield from (value for key, value in element.attrib.items() if not key.startswith("{"))
    if str(element.tag).lower().endswith("style"):
        yield "".join(element.itertext())
