"""Search for copies of one photograph: recall by disguise, precision, and speed of the search.

Phantom photographs, each with one disguised copy, lie among look-alikes: other photographs of the
same patient and body part by the same generator. Every disguise is a search of its own, so that
one copy cannot be found through another. The disguises are written here, apart from the detector.
"""

import io
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from common import measure_pairs, parse_fast, report
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.phash import hash_bits, orientations
from hzsynth.core.seeding import derive_seed
from hzsynth.data.config import LABELS
from hzsynth.data.copy_search import find_copies
from hzsynth.data.hash_pairs import near_pairs
from hzsynth.data.sources.phantom import render_phantom
from hzsynth.statistics.intervals import proportion_interval

_SIDE = 224
_BITS_APART = 80
COHORTS = ("western", "korean")

Pixels = NDArray[np.uint8]
Disguise = Callable[[Pixels, np.random.Generator], Pixels]


def flip(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels[::-1]


def turn(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return np.rot90(pixels, int(rng.integers(1, 4)))


def light(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    contrast, brightness = rng.uniform(0.7, 1.3), rng.uniform(-30, 30)
    return np.clip((pixels - 128.0) * contrast + 128 + brightness, 0, 255).astype(np.uint8)


def squash(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    factor = rng.uniform(0.7, 0.85)
    size = (
        (round(width * factor), height) if rng.random() < 0.5 else (width, round(height * factor))
    )
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size))


def reduce(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Half the size: a thumbnail."""
    height, width = pixels.shape[:2]
    small = Image.fromarray(np.ascontiguousarray(pixels)).resize((width // 2, height // 2))
    return np.asarray(small)


def encode(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=40)
    return np.asarray(Image.open(io.BytesIO(buffer.getvalue())))


def crop(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Four fifths of the width and of the height, anywhere."""
    height, width = pixels.shape[:2]
    tall, wide = round(0.8 * height), round(0.8 * width)
    top, left = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
    return pixels[top : top + tall, left : left + wide]


def paint_logo(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A white block, or white text, over 3 to 10 % of the area in a corner."""
    height, width = pixels.shape[:2]
    area, shape = rng.uniform(0.03, 0.10), rng.uniform(1.0, 3.0)
    wide = min(int((area * height * width * shape) ** 0.5), width)
    tall = min(int(area * height * width / wide), height)
    left = 0 if rng.random() < 0.5 else width - wide
    top = 0 if rng.random() < 0.5 else height - tall
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    pen = ImageDraw.Draw(picture)
    block = bool(rng.random() < 0.5)
    if block:
        pen.rectangle([left, top, left + wide, top + tall], fill=(255, 255, 255))
    for line in range(2):
        name = "".join(rng.choice(list("ABCDEFGHKLMNORST"), 6))
        font = ImageFont.load_default(max(6, tall // 3))
        place = (left + 2, top + 2 + line * tall / 2)
        pen.text(place, name, fill=(20, 20, 90) if block else (255, 255, 255), font=font)
    return np.asarray(picture)


def remove_logo(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Fills the lower left corner, where archives put their logo, from its surroundings."""
    height, width = pixels.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    mask[int(0.82 * height) :, : int(0.5 * width)] = 255
    return np.asarray(cv2.inpaint(np.ascontiguousarray(pixels), mask, 3, cv2.INPAINT_TELEA))


def chain(*steps: Disguise) -> Disguise:
    def disguise(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        for step in steps:
            pixels = step(pixels, rng)
        return pixels

    return disguise


WHOLE: dict[str, Disguise] = {
    "flip": flip,
    "quarter turn": turn,
    "light": light,
    "squash": squash,
    "half size": reduce,
    "JPEG 40": encode,
    "logo painted": paint_logo,
    "logo removed": remove_logo,
    "flip, turn, light, squash, JPEG 40": chain(flip, turn, light, squash, encode),
    "logo, flip, turn, light, JPEG 40": chain(paint_logo, flip, turn, light, encode),
}
CROPS: dict[str, Disguise] = {
    "crop": crop,
    "crop, flip, turn, light, JPEG 40": chain(crop, flip, turn, light, encode),
    "crop, squash, JPEG 40": chain(crop, squash, encode),
    "crop, logo, flip, JPEG 40": chain(crop, paint_logo, flip, encode),
}


@dataclass
class Tally:
    """Hits and trials, and the 95 % interval of their ratio."""

    hits: int = 0
    trials: int = 0

    def __str__(self) -> str:
        low, high = proportion_interval(self.hits, self.trials)
        share = self.hits / self.trials if self.trials else float("nan")
        return f"{share:.3f} [{low:.3f}, {high:.3f}] ({self.hits}/{self.trials})"

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.hits + other.hits, self.trials + other.trials)


def disguised(
    pictures: Sequence[Pixels], others: Sequence[Pixels], disguise: Disguise, out: Path, seed: int
) -> ImageSet:
    """A set of photographs, one disguised copy of each, and other photographs."""
    with ImageSetWriter(out) as writer:
        for number, pixels in enumerate(pictures):
            copy = disguise(pixels, np.random.default_rng((seed, number)))
            for which, made in (("original", pixels), ("copy", np.ascontiguousarray(copy))):
                extra = {"photograph": str(number), "which": which}
                writer.add(made, label="any", origin="real", extra=extra)
        for number, pixels in enumerate(others):
            extra = {"photograph": f"other {number}", "which": "other"}
            writer.add(pixels, label="any", origin="real", extra=extra)
    return writer.images


def recall_and_precision(
    images: ImageSet, crops: bool | None = None
) -> tuple[Tally, Tally, set[tuple[str, str]]]:
    """How many copies share their original's cluster, how many pairs in clusters are copies.

    Returns:
        Recall, precision over pairs, and the wrong pairs as names of photographs.
    """
    clusters = find_copies(images, crops=crops).clusters
    members: dict[int, list[str]] = {}
    for record, cluster in zip(images, clusters.tolist(), strict=True):
        members.setdefault(cluster, []).append(record.extra["photograph"])
    pairs = [pair for names in members.values() for pair in combinations(names, 2)]
    wrong = {(min(a, b), max(a, b)) for a, b in pairs if a != b}
    right = sum(a == b for a, b in pairs)
    copies = sum(record.extra["which"] == "copy" for record in images)
    return Tally(right, copies), Tally(right, len(pairs)), wrong


def measure(
    pictures: Sequence[Pixels], others: Sequence[Pixels], seed: int, crops: bool | None = None
) -> tuple[Tally, Tally, Tally, set[tuple[str, str]]]:
    """Prints recall by disguise.

    Returns:
        Recall of whole pictures, recall of crops, precision over pairs, and the wrong pairs.
    """
    whole, cut, precision = Tally(), Tally(), Tally()
    wrong: set[tuple[str, str]] = set()
    for name, disguise in {**WHOLE, **CROPS}.items():
        with tempfile.TemporaryDirectory(prefix="hzsynth-copies-") as folder:
            images = disguised(pictures, others, disguise, Path(folder) / "set", seed)
            start = time.perf_counter()
            recall, pure, more = recall_and_precision(images, crops)
            passed = time.perf_counter() - start
        print(
            f"{name:38s} recall {recall}  precision {pure}  "
            f"{1000 * passed / len(images):.0f} ms/image",
            file=sys.stderr,
            flush=True,
        )
        if name in WHOLE:
            whole += recall
        else:
            cut += recall
        precision += pure
        wrong |= more
    print(f"whole {whole}; crops {cut}; precision {precision}", file=sys.stderr)
    return whole, cut, precision, wrong


def phantoms(count: int, others: int, seed: int) -> tuple[list[Pixels], list[Pixels]]:
    """Photographs of different patients, and other photographs of the same patients in turn."""

    def render(number: int, view: int) -> Pixels:
        label, cohort = LABELS[number % len(LABELS)], COHORTS[number // len(LABELS) % 2]
        patient = derive_seed(seed, "duplicates", number)
        return render_phantom(label, cohort, patient, view, _SIDE, logo=number % 4 == 0)[0]

    pictures = [render(number, 0) for number in range(count)]
    return pictures, [render(number % count, 1 + number // count) for number in range(others)]


def one_by_one(hashes: NDArray[np.uint8]) -> int:
    """The plain search: eight orientations of each hash, four words each, against all later."""
    views = np.stack([orientations(hash_bits(row.tobytes().hex())) for row in hashes])
    words = np.packbits(views.reshape(len(hashes), 8, -1), axis=2).view(np.uint64)
    upright = np.ascontiguousarray(words[:, 0].T)
    near = 0
    for row in range(len(hashes) - 1):
        differing = np.zeros((8, len(hashes) - row - 1), np.uint8)
        for word, others in zip(words[row].T, upright, strict=True):
            differing += np.bitwise_count(word[:, None] ^ others[None, row + 1 :])
        near += int((differing.min(axis=0) <= _BITS_APART).sum())
    return near


def fast_search(hashes: NDArray[np.uint8]) -> int:
    return sum(len(pairs) for pairs, _ in near_pairs(hashes, _BITS_APART / 255))


def main() -> None:
    fast = parse_fast(__doc__ or "")
    count, others, seed = (12, 24, 0) if fast else (150, 300, 0)
    pictures, alike = phantoms(count, others, seed)
    print(f"{count} phantoms, {others} look-alikes, {_SIDE} px, seed {seed}", file=sys.stderr)
    measure(pictures, alike, seed)
    hashes = np.random.default_rng(seed).integers(0, 256, (2000, 32), dtype=np.uint8)
    if one_by_one(hashes) != fast_search(hashes):
        raise SystemExit("the two searches disagree")
    pairs = measure_pairs(
        "all pairs of 2,000 hashes in eight orientations",
        lambda: fast_search(hashes),
        lambda: one_by_one(hashes),
        repeats=3 if fast else 7,
    )
    many = np.random.default_rng(seed).integers(
        0, 256, (10_000 if fast else 100_000, 32), dtype=np.uint8
    )
    start = time.perf_counter()
    fast_search(many)
    print(f"{len(many)} hashes: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    report("duplicates", "hash search by parity over eight orientations each", 3.0, pairs)


if __name__ == "__main__":
    main()
