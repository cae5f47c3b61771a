"""A small enclave: photographs that name a patient, a run, its images and their audit."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from hzsynth.audit.config import AuditConfig
from hzsynth.audit.feature_spaces import pixel_space
from hzsynth.audit.gate import audit_images
from hzsynth.audit.page import write_audit
from hzsynth.core.config import Config
from hzsynth.core.devices import CPU_FP32
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.lineage import learned_from
from hzsynth.core.run import RunDir
from hzsynth.release.bundle import release_images
from hzsynth.release.config import ReleaseConfig

PATIENT, SECRET = "KimYoungHee1961", "zoster_from_room_12"
CONFIG = ReleaseConfig(name="Zoster", contact="data@hospital.example")


def pictures(seed: int, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(60, 200, (count, 6, 6, 3))
    return [np.kron(c, np.ones((4, 4, 1))).astype(np.uint8) for c in coarse]


def photographs(path: Path, seed: int) -> ImageSet:
    with ImageSetWriter(path) as writer:
        for number, picture in enumerate(pictures(seed, 24)):
            group = f"{PATIENT}-{path.name}-{number}"
            name = f"{SECRET}-{number}"
            writer.add(
                picture, label="zoster", origin="real", group=group, source=SECRET, name=name
            )
    return writer.images


class SomeSettings(Config):
    """Settings of a run, one of which must not be told."""

    resolution: int = 24
    weights: str = f"/home/{PATIENT}/net.pth"


class Enclave:
    """Photographs, a run, its images and their audit."""

    def __init__(self, root: Path, copies: int = 0) -> None:
        self.root = root
        self.train, self.held_out = photographs(root / "train", 1), photographs(root / "new", 2)
        self.run = RunDir.start(root / "run", "gan", SomeSettings(), {"images": "x"})
        self.run.record_training(learned_from([self.train]))
        made = [*pictures(3, 40), *pictures(1, 24)[:copies]]
        with ImageSetWriter(root / "fake") as writer:
            for number, picture in enumerate(made):
                writer.add(
                    picture,
                    label="zoster",
                    origin="stylegan2",
                    run=self.run.id,
                    seed=number,
                    source=SECRET,
                    name=f"{SECRET}-{number}",
                    extra={"note": PATIENT},
                )
            writer.add_lineage(self.run.id, self.run.training_images())
        self.fake = writer.images
        self.audit = root / "audit"
        sets = (self.fake, self.train, self.held_out)
        space = pixel_space()
        result = audit_images(*sets, AuditConfig(), compute=CPU_FP32, spaces=[space])
        write_audit(result, *sets, self.audit)
        self.result = result

    def release(self, out: Path, **options: Any) -> Any:
        return release_images(self.fake, self.audit, out, CONFIG, **options)


def files(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
