"""Walks between images: a generator that only copies its photographs jumps from one to the next.

Between two seeds a walk is straight in w, where the mapping network has unfolded the
latent space (arXiv:1812.04948, section 4.1); a generator without w is walked along the great circle of its
z, which lie on a sphere (Shoemake 1985). The noise stays that of the first seed, so that
nothing flickers.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from hzsynth.core.errors import InputError
from hzsynth.core.files import replacing
from hzsynth.core.image_files import write_png
from hzsynth.core.progress import SILENT, Progress, Task
from hzsynth.gan.trained_generator import TrainedGenerator
from hzsynth.report.contact_sheet import contact_sheet

FORMATS = (".png", ".gif", ".webp", ".mp4")
FRAME_MILLISECONDS = 80
_AT_ONCE = 16
_MOST_PIXELS = 50_000_000
_MOST_STREAMED = 100_000


def great_circle(start: torch.Tensor, end: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Points between two vectors, with even steps of the angle.

    Args:
        start: D values.
        end: D values; only their direction counts.
        shares: N parts of the way, in [0, 1].

    Returns:
        N x D, all as long as `start`, which is returned exactly for a share of 0.
    """
    end = end * (start.norm() / end.norm())
    cosine = torch.dot(start.double(), end.double()) / start.double().square().sum()
    angle = torch.acos(cosine.clamp(-1.0, 1.0))
    if torch.sin(angle) < 1e-6:  # the same direction: any way between is the straight one
        return torch.lerp(start, end, shares.to(start)[:, None])
    before = torch.sin((1.0 - shares.double()) * angle) / torch.sin(angle)
    after = torch.sin(shares.double() * angle) / torch.sin(angle)
    return before.to(start)[:, None] * start + after.to(start)[:, None] * end


def straight(start: torch.Tensor, end: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Points on the line between two w: layers x D each and N shares -> N x layers x D."""
    return torch.lerp(start[None], end[None], shares.to(start)[:, None, None])


@dataclass(frozen=True)
class LatentWalk:
    """A way from seed to seed.

    Attributes:
        seeds: two or more whole numbers from 0.
        frames: pictures from one seed to the next, which is not counted.
        loop: whether it ends where it begins.

    Raises:
        InputError: fewer than two seeds, or no frame.
    """

    seeds: tuple[int, ...]
    frames: int = 8
    loop: bool = False

    def __post_init__(self) -> None:
        if len(self.seeds) < 2:
            raise InputError(f"a walk needs two seeds at least in `seeds`, not {len(self.seeds)}")
        if self.frames < 1:
            raise InputError(f"`frames` is a whole number from 1, not {self.frames}")

    @property
    def legs(self) -> list[tuple[int, int]]:
        """Places of the seeds at both ends of every leg."""
        ends = range(1, len(self.seeds) + self.loop)
        return [(end - 1, end % len(self.seeds)) for end in ends]

    @property
    def length(self) -> int:
        """Number of pictures; a loop's last one is followed by its first."""
        return len(self.legs) * self.frames + (not self.loop)

    def pictures(
        self, generator: TrainedGenerator, number: int | None = None
    ) -> Iterator[torch.Tensor]:
        """Makes the walk's pictures one after the other.

        Args:
            generator: makes them.
            number: of a class-conditional generator: the class.

        Yields:
            `length` pictures, uint8 3 x H x W. The first is that of its seed; another seed's is made
            from its code, but with the first one's noise.
        """
        codes = generator.codes(self.seeds, number)
        between = straight if generator.has_styles else great_circle
        shares = torch.arange(self.frames, dtype=torch.float64) / self.frames
        for start, end in self.legs:
            for part in shares.split(_AT_ONCE):
                way = between(codes[start], codes[end], part.to(codes.device))
                yield from generator.render(way, self.seeds[0], number)
        if not self.loop:
            yield from generator.render(codes[-1:], self.seeds[0], number)


def write_walk(
    walk: LatentWalk,
    generator: TrainedGenerator,
    out: Path,
    number: int | None = None,
    progress: Progress = SILENT,
) -> None:
    """Writes a walk as the ending of the file's name says.

    ``.png``: a strip, one row a leg with the seeds at both its ends; ``.gif`` and ``.webp``: an
    animation that repeats; ``.mp4``: a video (MPEG-4 part 2), the only one that is not held in memory.

    Args:
        walk: the way.
        generator: makes its pictures.
        out: the file; it is there as a whole or not at all.
        number: of a class-conditional generator: the class.
        progress: shows the work.

    Raises:
        InputError: another ending, too many pictures for it, a place that cannot be written to, or no
            MP4 can be written here.
    """
    kind = checked_format(out)
    _check_length(walk, kind, generator.resolution)
    write = {".png": _write_strip, ".mp4": _write_video}.get(kind, _write_animation)
    with progress.task("walking", walk.length, unit="img") as task:
        write(walk, _counted(walk.pictures(generator, number), task), out, generator.resolution)


def checked_format(out: Path) -> str:
    """The ending of a file's name, in small letters.

    Raises:
        InputError: it is none of `FORMATS`.
    """
    kind = out.suffix.lower()
    if kind not in FORMATS:
        raise InputError(f"`out` ends in {', '.join(FORMATS)}, not '{out.name}'")
    return kind


def _check_length(walk: LatentWalk, kind: str, side: int) -> None:
    most = _MOST_STREAMED if kind == ".mp4" else max(1, _MOST_PIXELS // side**2)
    if walk.length > most:
        advice = "" if kind == ".mp4" else ", or an `out` that ends in .mp4"
        raise InputError(
            f"{walk.length} pictures of {side} px are too many for '{kind}', which takes {most}: "
            f"fewer `frames` or `seeds`{advice}"
        )


def _counted(pictures: Iterator[torch.Tensor], task: Task) -> Iterator[torch.Tensor]:
    for picture in pictures:
        yield picture
        task.advance(1)


def name_of(seed: int, place: int) -> str:
    """What a caption calls a seed: itself, or its place in the list if it is a long number."""
    return f"seed {seed}" if seed < 1_000_000 else f"image {place + 1}"


def _write_strip(walk: LatentWalk, pictures: Iterator[torch.Tensor], out: Path, side: int) -> None:
    made = torch.stack(list(pictures))
    rows, captions = [], []
    for leg, (start, end) in enumerate(walk.legs):
        places = [(leg * walk.frames + i) % len(made) for i in range(walk.frames + 1)]
        rows.append(made[places])
        captions += [
            name_of(walk.seeds[start], start),
            *[""] * (walk.frames - 1),
            name_of(walk.seeds[end], end),
        ]
    sheet = contact_sheet(torch.cat(rows), walk.frames + 1, captions)
    write_png(out, sheet)


def _pixels(picture: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(picture.permute(1, 2, 0).numpy())


def _write_animation(
    walk: LatentWalk, pictures: Iterator[torch.Tensor], out: Path, side: int
) -> None:
    images = (Image.fromarray(_pixels(picture)) for picture in pictures)
    kind = out.suffix[1:].upper()
    settings = {"quality": 90, "method": 4} if kind == "WEBP" else {}
    with replacing(out) as temporary:
        next(images).save(
            temporary,
            kind,
            save_all=True,
            append_images=images,
            duration=FRAME_MILLISECONDS,
            loop=0,
            **settings,
        )


def _write_video(walk: LatentWalk, pictures: Iterator[torch.Tensor], out: Path, side: int) -> None:
    # OpenCV tells the container from the name, and says nothing when it fails.
    with replacing(out) as temporary, tempfile.TemporaryDirectory(dir=temporary.parent) as folder:
        video = Path(folder) / "walk.mp4"
        code = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(
            str(video), cv2.CAP_FFMPEG, code, 1000 / FRAME_MILLISECONDS, (side, side)
        )
        if writer.isOpened():
            for picture in pictures:
                writer.write(cv2.cvtColor(_pixels(picture), cv2.COLOR_RGB2BGR))
        writer.release()
        if frames_of(video) != walk.length:
            raise InputError(
                f"no MP4 can be written to '{out}' (a full disk, or an OpenCV without this codec): "
                "use an `out` that ends in .gif or .webp"
            )
        video.replace(temporary)


def frames_of(video: Path) -> int:
    """How many pictures a video holds, counted by reading it; 0 when it cannot be read."""
    if not video.is_file():
        return 0
    reader, count = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG), 0
    while reader.grab():
        count += 1
    reader.release()
    return count
