"""Does the audit find planted copies, and how often does it raise a false alarm?

Three generators are planted on phantom photographs: one hands out training photographs, flipped,
turned and encoded anew; one does so for every second image; one draws new patients. The first two
must fail the gate and the third must pass. Then scenes without any fault, drawn many times from
a pool of phantoms and from Gaussian features, tell how often the whole gate (all spaces, all
tests) fails by chance.
"""

import hashlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from common import hardware, parse_fast, versions, write_rows
from numpy.typing import NDArray
from PIL import Image

from hzsynth.audit.config import AuditConfig
from hzsynth.audit.distances import Distances, measure_distances
from hzsynth.audit.feature_spaces import FeatureSpace, default_feature_spaces
from hzsynth.audit.gate import audit_images
from hzsynth.audit.membership import Membership, membership, membership_failures
from hzsynth.audit.result import AuditResult
from hzsynth.audit.space_tests import audit_space
from hzsynth.core.devices import CPU_FP32
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.phash import NEAR_DUPLICATE, nearest_hash, perceptual_hash
from hzsynth.core.seeding import derive_seed
from hzsynth.data.sources.phantom import render_phantom
from hzsynth.statistics.intervals import proportion_interval

_SIDE, _PHOTOGRAPHS, _FAKES = 80, 30, 150
_MUST_PASS = {"copies": False, "half copies": False, "fresh": True}

Pixels = NDArray[np.uint8]


_COUNTS = {"train": _PHOTOGRAPHS, "held-out": _PHOTOGRAPHS, "fresh": _FAKES}


@cache
def phantoms(seed: int, part: str) -> list[Pixels]:
    """Photographs of patients who are in no other part."""
    return [
        render_phantom("herpes_zoster", "western", derive_seed(seed, part, i), 0, _SIDE)[0]
        for i in range(_COUNTS[part])
    ]


def disguised(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Turned, perhaps mirrored, and encoded as JPEG."""
    turned = np.rot90(pixels, int(rng.integers(4)))
    if rng.random() < 0.5:
        turned = turned[:, ::-1]
    buffer = io.BytesIO()
    quality = int(rng.integers(40, 91))
    Image.fromarray(np.ascontiguousarray(turned)).save(buffer, "JPEG", quality=quality)
    with Image.open(io.BytesIO(buffer.getvalue())) as read:
        return np.asarray(read)


def write(path: Path, pictures: Sequence[Pixels], origin: str) -> ImageSet:
    with ImageSetWriter(path) as writer:
        for number, picture in enumerate(pictures):
            group = f"{path.name}-{number}" if origin == "phantom" else ""
            writer.add(picture, label="herpes_zoster", origin=origin, group=group)
    return writer.images


def planted(seed: int, folder: Path, spaces: Sequence[FeatureSpace]) -> dict[str, AuditResult]:
    """The audits of the three generators."""
    rng = np.random.default_rng(seed)
    photographs = phantoms(seed, "train")
    fresh = phantoms(seed, "fresh")
    copies = [disguised(photographs[i % _PHOTOGRAPHS], rng) for i in range(_FAKES)]
    half = [copies[i] if i % 2 else fresh[i] for i in range(_FAKES)]
    train = write(folder / "train", photographs, "phantom")
    held_out = write(folder / "held-out", phantoms(seed, "held-out"), "phantom")
    return {
        name: audit_images(
            write(folder / name, pictures, "stylegan2"),
            train,
            held_out,
            AuditConfig(seed=seed),
            compute=CPU_FP32,
            spaces=spaces,
        )
        for name, pictures in (("copies", copies), ("half copies", half), ("fresh", fresh))
    }


def rows(seed: int, name: str, result: AuditResult) -> list[dict[str, object]]:
    """One row a space."""
    return [
        {
            "seed": seed,
            "generator": name,
            "passed": result.passed,
            "dropped": len(result.dropped),
            "passes_without_dropped": result.passes_without_dropped,
            "space": audit.space,
            "near": round(audit.nearness.share, 3),
            "c_t": round(audit.nearness.c_t, 2),
            "authentic": round(audit.nearness.authentic, 3),
            "auc": round(audit.membership.auc, 3),
            "auc_low": round(audit.membership.low, 3),
            "control": round(audit.membership.control, 3),
            "failures": len(audit.failures),
        }
        for audit in result.spaces
    ]


@dataclass
class Alarms:
    """False alarms of the whole gate and of its parts.

    Attributes:
        scenes: how many were looked at.
        gate: in how many the gate failed.
        parts: failures by space and test.
    """

    scenes: int = 0
    gate: int = 0
    parts: dict[str, int] | None = None

    def add(self, causes: Sequence[str]) -> None:
        """Counts a scene and the tests that failed in it."""
        self.parts = self.parts or {}
        self.scenes += 1
        self.gate += bool(causes)
        for cause in causes:
            self.parts[cause] = self.parts.get(cause, 0) + 1

    def __str__(self) -> str:
        low, high = proportion_interval(self.gate, self.scenes)
        parts = ", ".join(f"{name} {count}" for name, count in sorted((self.parts or {}).items()))
        share = self.gate / self.scenes
        return f"{share:.4f} [{low:.4f}, {high:.4f}] ({self.gate}/{self.scenes}; {parts})"


def told(attack: Membership, config: AuditConfig) -> tuple[str, ...]:
    """Why the gate fails for an attack."""
    return membership_failures(attack, config.most_auc, config.lowest_c_t)


def causes_of(distances: Sequence[Distances], config: AuditConfig) -> list[str]:
    """Which tests of which spaces fail."""
    found = []
    for each in distances:
        audit = audit_space(each, config)
        near = audit.nearness
        tests = {
            "near": near.share > config.most_near * config.quantile and near.p_near < config.level,
            "C_T": near.z_c_t < config.lowest_c_t,
            "AUC": bool(told(audit.membership, config)),
        }
        assert any(tests.values()) == bool(audit.failures)
        found += [f"{each.space} {test}" for test, fails in tests.items() if fails]
    return found


def scene(
    space: str,
    to_shown: torch.Tensor,
    between: torch.Tensor,
    train: NDArray[np.int64],
    held_out: NDArray[np.int64],
) -> Distances:
    """A scene's distances, from those of all generated images and all photographs to all."""
    copies = between[train][:, train].clone().fill_diagonal_(0.0)
    others = copies.clone().fill_diagonal_(float("inf"))
    one_cell = [
        torch.zeros(count, dtype=torch.int64)
        for count in (len(to_shown), *map(len, (held_out, train)))
    ]
    return Distances(
        space=space,
        to_train=to_shown[:, train],
        to_held_out=to_shown[:, held_out],
        held_out=between[held_out][:, train].min(dim=1).values,
        train=others.min(dim=1).values,
        copy_to_train=copies,
        copy_to_held_out=between[train][:, held_out],
        fake_cells=one_cell[0],
        held_out_cells=one_cell[1],
        train_cells=one_cell[2],
        attacked=torch.ones(len(train), dtype=torch.bool),
        independent=torch.ones(len(held_out), dtype=torch.bool),
    )


def remembering(space: FeatureSpace) -> FeatureSpace:
    """The same space; a picture that was seen before is not described again."""
    known: dict[bytes, torch.Tensor] = {}

    def describe(pixels: torch.Tensor) -> torch.Tensor:
        keys = [hashlib.sha256(picture.numpy().tobytes()).digest() for picture in pixels]
        new = [row for row, key in enumerate(keys) if key not in known]
        if new:
            found = space.describe(pixels[new])
            known.update(zip([keys[row] for row in new], found, strict=True))
        return torch.stack([known[key] for key in keys])

    return FeatureSpace(space.name, describe)


def phantom_alarms(seeds: int, scenes: int, spaces: Sequence[FeatureSpace]) -> Alarms:
    """Scenes of new patients only, drawn from all phantoms of the planted scenes."""
    shown = [p for s in range(seeds) for part in ("train", "held-out") for p in phantoms(s, part)]
    drawn = [p for s in range(seeds) for p in phantoms(s, "fresh")]
    pixels = [torch.from_numpy(np.stack(p).transpose(0, 3, 1, 2).copy()) for p in (drawn, shown)]
    pools = [measure_distances(space, *pixels, pixels[1]) for space in spaces]
    between = [measure_distances(space, pixels[1], pixels[1], pixels[1]) for space in spaces]
    hashes = [[perceptual_hash(picture) for picture in pool] for pool in (drawn, shown)]
    alike = np.stack([nearest_hash(hashes[0], [one])[0] for one in hashes[1]], axis=1)
    rng, alarms = np.random.default_rng(0), Alarms()
    for number in range(scenes):
        fake = rng.permutation(len(drawn))[:_FAKES]
        train, held_out = rng.permutation(len(shown))[: 2 * _PHOTOGRAPHS].reshape(2, -1)
        distances = [
            scene(pool.space, pool.to_train[fake], shown_to.to_train, train, held_out)
            for pool, shown_to in zip(pools, between, strict=True)
        ]
        causes = causes_of(distances, AuditConfig(seed=number))
        if (alike[np.ix_(fake, train)] <= NEAR_DUPLICATE).any():
            causes.append("perceptual copies")
        alarms.add(causes)
    return alarms


def gaussian_alarms(
    scenes: int, dimensions: int, photographs: int, gate_discriminator: bool
) -> Alarms:
    """Three independent feature spaces, the worst case: their false alarms add up."""
    rng, alarms = np.random.default_rng(1), Alarms()
    for number in range(scenes):
        config = AuditConfig(seed=number)
        distances = []
        for space in ("first", "second", "third"):
            fake = torch.from_numpy(rng.normal(size=(_FAKES, dimensions)))
            shown = torch.from_numpy(rng.normal(size=(2 * photographs, dimensions)))
            train, held_out = np.arange(2 * photographs).reshape(2, -1)
            to_shown, between = torch.cdist(fake, shown), torch.cdist(shown, shown)
            distances.append(scene(space, to_shown, between, train, held_out))
        causes = causes_of(distances, config)
        if gate_discriminator:
            attack = membership(*rng.normal(size=(2, photographs)), rng)
            causes += ["discriminator AUC"] * len(told(attack, config))
        alarms.add(causes)
    return alarms


def main() -> None:
    fast = parse_fast(__doc__ or "")
    seeds, scenes = (2, 100) if fast else (5, 2000)
    spaces = [remembering(space) for space in default_feature_spaces(CPU_FP32)]
    table: list[dict[str, object]] = []
    right = dict.fromkeys(_MUST_PASS, 0)
    for seed in range(seeds):
        start = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="hzsynth-audit-") as folder:
            results = planted(seed, Path(folder), spaces)
        for name, result in results.items():
            table += rows(seed, name, result)
            right[name] += result.passed == _MUST_PASS[name]
            print(f"seed {seed}, {name}: {result.sentence()}", file=sys.stderr, flush=True)
        print(f"seed {seed}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    write_rows("audit_planted", table)
    found = {}
    for name, measure in (
        ("phantoms, 30 photographs", lambda: phantom_alarms(seeds, scenes, spaces)),
        ("gaussian, 8 photographs", lambda: gaussian_alarms(scenes // 2, 16, 8, False)),
        ("gaussian, 30 photographs", lambda: gaussian_alarms(scenes, 16, 30, False)),
        ("the same, discriminator gates", lambda: gaussian_alarms(scenes, 16, 30, True)),
        ("gaussian, 100 photographs", lambda: gaussian_alarms(scenes // 2, 16, 100, False)),
    ):
        found[name] = str(measure())
        print(f"false alarms, {name}: {found[name]}", file=sys.stderr, flush=True)
    print(
        json.dumps(
            {
                "claim": "planted copies fail the gate and new patients pass it",
                "right": {name: f"{count} of {seeds}" for name, count in right.items()},
                "false_alarms": found,
                "photographs": _PHOTOGRAPHS,
                "fakes": _FAKES,
                "side": _SIDE,
                "hardware": hardware(),
                "versions": versions(),
            }
        )
    )
    if any(count < seeds for count in right.values()):
        raise SystemExit("a planted generator got the wrong verdict")


if __name__ == "__main__":
    main()
