"""Small valid media files: silence as MP3, and pictures of one colour in any size and format."""

from __future__ import annotations

import struct
import zlib

Colour = tuple[int, int, int]

# One frame of silence: MPEG 1 layer III, 32 kbit/s, 44.1 kHz, mono. Side information and data are all zeros.
_FRAME = b"\xff\xfb\x10\xc0" + bytes(100)
_FRAMES_A_SECOND = 44_100 / 1152


def mp3(title: str = "", seconds: float = 0.5) -> bytes:
    """Return silence with the title `title`, so that files can be distinguished."""
    tag = b""
    if title:
        text = b"\x03" + title.encode()
        frame = b"TIT2" + _synchsafe(len(text)) + b"\x00\x00" + text
        tag = b"ID3\x04\x00\x00" + _synchsafe(len(frame)) + frame
    return tag + _FRAME * max(1, round(seconds * _FRAMES_A_SECOND))


def picture(format: str, width: int, height: int, colour: Colour) -> bytes:
    """Return a picture of one colour.

    Args:
        format: `"png"`, `"jpeg"` (which is grey), `"webp"`, `"gif"` or `"svg"`.
        width: In pixels.
        height: In pixels.
        colour: Red, green and blue, 0 to 255.
    """
    return _PAINTERS[format](width, height, colour)


def colour_of(text: str) -> Colour:
    """Return a colour for a text: always the same, and almost always another one for another text."""
    red, green, blue, _ = struct.pack(">I", zlib.crc32(text.encode()))
    return red, green, blue


def _synchsafe(size: int) -> bytes:
    """Write a size with seven bits per byte, as ID3 does so that it never looks like the start of a frame."""
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def _png(width: int, height: int, colour: Colour) -> bytes:
    # One bit a pixel, an index into a palette of one colour.
    rows = bytes((1 + (width + 7) // 8) * height)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)),
        (b"PLTE", bytes(colour)),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _jpeg(width: int, height: int, colour: Colour) -> bytes:
    # The first block of 8 x 8 pixels says how bright it is, all others that they differ by nothing. With tables
    # of Huffman codes made for that, "no difference" and "end of block" are one zero bit each.
    red, green, blue = colour
    brightness = (299 * red + 587 * green + 114 * blue) // 1000 - 128
    size = abs(brightness).bit_length()
    magnitude = brightness if brightness >= 0 else brightness + (1 << size) - 1
    first = f"10{magnitude:0{size}b}0" if size else "00"
    bits = first + "00" * ((width + 7) // 8 * ((height + 7) // 8) - 1)
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    segments = [
        (0xE0, b"JFIF\x00" + struct.pack(">HBHHBB", 0x0101, 0, 1, 1, 0, 0)),
        (0xDB, b"\x00" + bytes([8] * 64)),
        (0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00"),
        (0xC4, b"\x00" + bytes([1, 1, *[0] * 14]) + bytes([0, size or 1])),
        (0xC4, b"\x10" + bytes([1, *[0] * 15]) + b"\x00"),
        (0xDA, b"\x01\x01\x00\x00\x3f\x00"),
    ]
    written = b"".join(b"\xff" + bytes([mark]) + struct.pack(">H", len(d) + 2) + d for mark, d in segments)
    return b"\xff\xd8" + written + scan + b"\xff\xd9"


def _webp(width: int, height: int, colour: Colour) -> bytes:
    # Lossless, with codes that know one symbol each: a pixel then takes no bits at all.
    red, green, blue = colour
    fields = [(0x2F, 8), (width - 1, 14), (height - 1, 14), (0, 4), (0, 3)]
    for symbol in (green, red, blue, 255):
        fields += [(0b101, 3), (symbol, 8)]
    fields += [(0b001, 4)]
    value = shift = 0
    for field, size in fields:
        value |= field << shift
        shift += size
    data = value.to_bytes((shift + 7) // 8, "little")
    chunk = b"VP8L" + struct.pack("<I", len(data)) + data + b"\x00" * (len(data) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def _gif(width: int, height: int, colour: Colour) -> bytes:
    # A frame need not fill the screen: this one is a single pixel.
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(colour) * 2
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + screen + frame + b";"


def _svg(width: int, height: int, colour: Colour) -> bytes:
    fill = "#" + bytes(colour).hex()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f'<rect width="100%" height="100%" fill="{fill}"/></svg>'
    ).encode()


_PAINTERS = {"png": _png, "jpeg": _jpeg, "webp": _webp, "gif": _gif, "svg": _svg}
