"""A PNG that holds pixels and nothing else, by its chunks (W3C Portable Network Graphics, 2nd ed.)."""

import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LARGEST = 2**28


def png_problem(data: bytes) -> str:
    """Why a file is not a plain PNG.

    Args:
        data: the file's bytes.

    Returns:
        A phrase, or the empty string for 8-bit RGB pixels in the chunks IHDR, IDAT and IEND alone,
        with right checksums and nothing after them or hidden behind the pixels.
    """
    if not data.startswith(_SIGNATURE):
        return "is no PNG"
    place, names, pixels, header = len(_SIGNATURE), [], b"", b""
    while place < len(data):
        if place + 12 > len(data):
            return "is cut off or has bytes after its end"
        (length,) = struct.unpack(">I", data[place : place + 4])
        body = data[place + 4 : place + 8 + length]
        stored = data[place + 8 + length : place + 12 + length]
        if len(stored) < 4 or zlib.crc32(body) != struct.unpack(">I", stored)[0]:
            return "is damaged"
        name, content = body[:4].decode("latin-1"), body[4:]
        if name not in ("IHDR", "IDAT", "IEND"):
            return f"holds metadata (chunk {name!r})"
        names.append(name)
        header = content if name == "IHDR" else header
        pixels += content if name == "IDAT" else b""
        place += 12 + length
        if name == "IEND":
            break
    if place != len(data):
        return "has bytes after its end"
    middle = names[1:-1]
    if names[:1] != ["IHDR"] or names[-1] != "IEND" or not middle or set(middle) != {"IDAT"}:
        return "is not made of IHDR, IDAT and IEND"
    return _pixels_problem(header, pixels)


def _pixels_problem(header: bytes, pixels: bytes) -> str:
    if len(header) != 13 or header[8:] != b"\x08\x02\x00\x00\x00":
        return "is not 8-bit RGB without interlacing"
    width, height = struct.unpack(">II", header[:8])
    expected = height * (1 + 3 * width)
    if not 0 < expected <= _LARGEST:
        return "has no sensible size"
    decoder = zlib.decompressobj()
    try:
        rows = decoder.decompress(pixels, expected + 1)
    except zlib.error:
        return "has damaged pixels"
    if len(rows) != expected or not decoder.eof or decoder.unused_data:
        return "hides bytes behind its pixels"
    return ""
