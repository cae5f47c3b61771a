"""What a PNG may hide is found."""

import zlib
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hzsynth.release.plain_png import png_problem
from tests.release.enclave import PATIENT, chunk


def test_what_a_png_may_hide_is_found(tmp_path: Path) -> None:
    picture, path = Image.new("RGB", (5, 4)), tmp_path / "a.png"
    text = PngInfo()
    text.add_text("patient", PATIENT)
    for options in ({"pnginfo": text}, {"dpi": (72, 72)}, {"icc_profile": b"x"}):
        picture.save(path, **options)
        assert "metadata" in png_problem(path.read_bytes())
    picture.save(path)
    plain = path.read_bytes()
    assert png_problem(plain) == ""
    assert "after its end" in png_problem(plain + b"secret-secret")
    header, rows = plain[:33], bytes(4 * 16)
    hidden = header + chunk(b"IDAT", zlib.compress(rows) + b"secret") + chunk(b"IEND", b"")
    assert "hides" in png_problem(hidden)
    longer = header + chunk(b"IDAT", zlib.compress(rows + b"secret")) + chunk(b"IEND", b"")
    assert "hides" in png_problem(longer)
    assert png_problem(header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")) == ""
    assert png_problem(plain[:-20])
    assert "damaged" in png_problem(plain[:40] + bytes([plain[40] ^ 1]) + plain[41:])
    picture.save(path, "JPEG")
    assert png_problem(path.read_bytes()) == "is no PNG"
