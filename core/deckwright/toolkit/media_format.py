"""The format of sounds and pictures, found by their content; a file is only moved into place when it is complete."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4
from xml.etree import ElementTree

from deckwright.errors import BadMediaError

# Video containers that may hold sound only, and their file endings then.
_SOUND_IN_VIDEO = {"video/mp4": ".m4a", "video/webm": ".webm"}
# Endings that may be replaced by another one; all others are part of a file's name.
_ENDINGS = {".aac", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".webm"} | {
    *(".apng", ".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".svg", ".webp")
}
# Programs that do not know the size yet write this one, or a larger one.
_UNKNOWN_SIZE = 0x7FFF_FF00
# Bytes that are read at both ends of a file.
_ENDS = 8192
_UNSAFE_ELEMENTS = {"script", "foreignobject", "iframe", "embed", "object", "handler", "set", "animate"}
# CSS that refers to something outside the picture, or may hide that it does.
_EXTERNAL_CSS = re.compile(
    r"javascript:|@import|url\((?!\s*['\"]?\s*(?:#|data:))"
    r"|\\0*[0-7]?[0-9a-f](?![0-9a-f])|\\[g-z]",  # an escaped ASCII letter, which has no use
    re.IGNORECASE,
)
_XHTML = "{http://www.w3.org/1999/xhtml}"
# An SVG is read as a whole; pictures for cards are far smaller than this.
_MAX_SVG_BYTES = 2_000_000
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]+")


def media_ending(path: Path, type: str) -> str:
    """Return the ending for a file's content, such as `".mp3"`.

    Args:
        path: The file.
        type: The expected type: `"audio"` or `"image"`.

    Raises:
        BadMediaError: The file is something else, is incomplete, or is a picture that could run a program.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_ENDS)
        file.seek(max(0, size - _ENDS))
        tail = file.read()
    expected = "a sound" if type == "audio" else "a picture"
    if not head:
        raise BadMediaError(f"the file is empty, but {expected} was expected")
    if type == "image" and _is_svg(head):
        _check_svg(path, size)
        return ".svg"
    found = _guess(head)
    if type == "audio" and found and found[1] in _SOUND_IN_VIDEO:
        return _SOUND_IN_VIDEO[found[1]]
    if found is None or not found[1].startswith(f"{type}/"):
        raise BadMediaError(f"the file is {_describe(head, found)}, but {expected} was expected")
    if not _is_complete(found[0], size, head, tail):
        raise BadMediaError(f"the {found[0]} file is incomplete")
    return f".{found[0]}"


def move_media(temporary: Path, target: Path, type: str) -> Path:
    """Move a finished file beside `target`, with the file ending of its content; return the new path.

    Raises:
        BadMediaError: It is not of the expected type. Then it is not moved.
    """
    ending = media_ending(temporary, type)
    stem = target.stem if target.suffix.lower() in _ENDINGS else target.name
    return temporary.replace(target.with_name(f"{stem}{ending}"))


def write_media(content: bytes, target: Path, type: str) -> Path:
    """Write a complete sound or picture, or nothing; return the file, with the file ending of its content.

    Raises:
        BadMediaError: `content` is not of the expected type.
    """
    with temporary_beside(target) as temporary:
        temporary.write_bytes(content)
        return move_media(temporary, target, type)


@contextmanager
def temporary_beside(target: Path) -> Iterator[Path]:
    """Yield the path of a temporary file in the folder of `target`; at the end it is deleted, unless it was moved."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not made by `tempfile`: other users could not read its files, even after they were moved.
    path = target.with_name(f".deckwright-{uuid4().hex}.part")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _guess(head: bytes) -> tuple[str, str] | None:
    import filetype

    found = filetype.guess(head)
    if found is None and head[0] == 0xFF and len(head) > 1 and head[1] & 0xE6 == 0xE2:
        return "mp3", "audio/mpeg"  # a frame of layer III; filetype does not know all its versions
    return (found.extension, found.mime) if found else None


def _describe(head: bytes, found: tuple[str, str] | None) -> str:
    """Return in words what an unexpected file is."""
    if found:
        return f"a {found[0]} file"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:100].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if start.startswith((b"[", b"{")):
        try:
            return f"JSON ({json.dumps(json.loads(head))[:80]})"
        except (ValueError, RecursionError):  # incomplete, or nested too deeply
            return "JSON"
    return "text" if _TEXT.fullmatch(head) else "of an unknown format"


def _is_complete(ending: str, size: int, head: bytes, tail: bytes) -> bool:
    """Return whether a file has the end of its format; some formats have no such end."""
    if ending in ("png", "apng"):
        return b"IEND\xaeB`\x82" in tail
    if ending == "jpg":
        return b"\xff\xd9" in tail
    if ending == "gif":
        return tail.rstrip(b"\0").endswith(b"\x3b")
    if ending in ("webp", "wav") and head.startswith(b"RIFF"):
        declared = int.from_bytes(head[4:8], "little")
        return size >= declared + 8 or declared >= _UNKNOWN_SIZE
    return True


def _is_svg(head: bytes) -> bool:
    text = re.sub(rb"<\?xml.*?\?>|<!--.*?-->|<!doctype[^>\[]*>", b"", head, flags=re.DOTALL | re.IGNORECASE)
    return text.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<svg", b"<!doctype svg"))


def _check_svg(path: Path, size: int) -> None:
    """Raise `BadMediaError` if an SVG is not well-formed, or does anything but show itself."""
    if size > _MAX_SVG_BYTES:
        raise BadMediaError("the SVG picture is larger than 2 MB")
    content = path.read_bytes()
    if b"<!ENTITY" in content or b"<?xml-stylesheet" in content:
        raise BadMediaError("the SVG picture defines entities or style sheets of its own")
    try:
        elements = list(ElementTree.fromstring(content).iter())  # noqa: S314 - safe without entities
    except (ElementTree.ParseError, ValueError, LookupError):
        raise BadMediaError("the SVG picture is incomplete or not well-formed") from None
    for element in elements:
        name = str(element.tag).rpartition("}")[2].lower()
        attributes = [(key.rpartition("}")[2].lower(), value) for key, value in element.attrib.items()]
        if (
            name in _UNSAFE_ELEMENTS
            or str(element.tag).startswith(_XHTML)
            or any(key.startswith("on") for key, _ in attributes)
            or any(key == "href" and not _is_internal(value) for key, value in attributes)
            or any(map(_EXTERNAL_CSS.search, _styles(element)))
        ):
            raise BadMediaError(f"the SVG picture does more than show itself (<{name}>)")


def _is_internal(link: str) -> bool:
    return link.lstrip().lower().startswith(("#", "data:image/")) or not link


def _styles(element: ElementTree.Element) -> Iterator[str]:
    """Yield all that may be CSS: the attributes of SVG itself, and the text of a <style>."""
    yield from (value for key, value in element.attrib.items() if not key.startswith("{"))
    if str(element.tag).lower().endswith("style"):
        yield "".join(element.itertext())
