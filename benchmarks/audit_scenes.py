"""Does the audit find leaky generators, and how often does it accuse a faultless one?

Claim: by the README's commands, generators that hand out training photographs, their flips, turns and
re-encodings, or blends of two of them, also for every second image only, fail the gate in 90 % of scenes or
more; faultless ones (the same program, new patients) of a loose, a mixed and a tight class fail in 7 % or
fewer, and the attack's control varies as chance says.

A scene draws patients from a pool of phantoms, writes their photographs as a set, and calls
`hzsynth data split`, then `hzsynth audit SYNTHETIC --train SPLIT --run gan`, where the run is made by hand:
it names the train split as what it learned from. Features and the search for copies are remembered from scene
to scene, and the page is written without its pictures; all else is done anew.

Run: python benchmarks/audit_scenes.py [--fast] [--kept DIR] [--only KIND] [--scenes N]
"""

import argparse
import contextlib
import io
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from audit_pools import NARROW, Pixels, Pool, Remembering, pool, small
from common import hardware, versions, write_rows
from PIL import Image
from scipy import stats

from hzsynth.audit import gate
from hzsynth.audit.feature_spaces import FeatureSpace, default_feature_spaces
from hzsynth.cli.main import run as hzsynth
from hzsynth.core.devices import CPU_FP32
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.lineage import learned_from
from hzsynth.core.run import RunDir
from hzsynth.gan.config import GanConfig
from hzsynth.gan.training import train_gan
from hzsynth.report.page import Section
from hzsynth.statistics.intervals import proportion_interval

PATIENTS, FAKES = 20, 60
LOOSE, MIXED = ("herpes_zoster",), ("eczema", "herpes_zoster")
POOLS = {  # patients, images of further patients
    "herpes_zoster": (40, 200),
    NARROW: (24, 120),
    "eczema": (20, 100),
    "normal": (24, 120),
}
Maker = Callable[["Scene"], list[tuple[str, Pixels]]]


@dataclass(frozen=True)
class Scene:
    """What a generator is made of.

    Attributes:
        pools: of the scene's classes.
        train: photographs of the train split by class.
        rng: of the scene.
    """

    pools: tuple[Pool, ...]
    train: dict[str, list[Pixels]]
    rng: np.random.Generator

    def labels(self) -> list[str]:
        """The class of each image, in equal shares."""
        return [self.pools[number % len(self.pools)].label for number in range(FAKES)]


def fresh(scene: Scene) -> list[tuple[str, Pixels]]:
    """A faultless generator: new patients."""
    drawn = {p.label: iter(p.fresh[scene.rng.permutation(len(p.fresh))]) for p in scene.pools}
    return [(label, next(drawn[label])) for label in scene.labels()]


def copies(scene: Scene) -> list[tuple[str, Pixels]]:
    """Training photographs, as they are."""
    return [(label, _one(scene, label)) for label in scene.labels()]


def disguises(scene: Scene) -> list[tuple[str, Pixels]]:
    """Training photographs, turned, perhaps mirrored, encoded as JPEG."""
    return [(label, disguised(_one(scene, label), scene.rng)) for label in scene.labels()]


def half_copies(scene: Scene) -> list[tuple[str, Pixels]]:
    """Every second image is a disguised training photograph."""
    return [*disguises(scene)[::2], *fresh(scene)[1::2]]


def blends(scene: Scene) -> list[tuple[str, Pixels]]:
    """Mixtures of two training photographs."""
    made = []
    for label in scene.labels():
        first, second = (_one(scene, label).astype(np.float64) for _ in range(2))
        weight = scene.rng.uniform(0.3, 0.7)
        made.append((label, (weight * first + (1 - weight) * second).round().astype(np.uint8)))
    return made


def _one(scene: Scene, label: str) -> Pixels:
    return small(scene.train[label][int(scene.rng.integers(len(scene.train[label])))])


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


KINDS: dict[str, tuple[Maker, tuple[str, ...], bool, int]] = {
    "copies": (copies, LOOSE, True, 50),
    "disguised copies": (disguises, LOOSE, True, 50),
    "half copies": (half_copies, LOOSE, True, 50),
    "blends": (blends, LOOSE, True, 50),
    "faultless, one class": (fresh, LOOSE, False, 200),
    "faultless, two classes": (fresh, MIXED, False, 100),
    "faultless, skin of one patient": (fresh, (NARROW,), False, 100),
    "faultless, healthy skin": (fresh, ("normal",), False, 100),
}
"""Maker, classes, whether it leaks, scenes."""


def command(*words: object) -> int:
    """Runs a command as the shell would; its exit code."""
    silent = io.StringIO()
    with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
        try:
            hzsynth([*map(str, words), "--quiet", "--device", "cpu"])
        except SystemExit as ended:
            return int(ended.code or 0)
    return 0


def hand_made_run(path: Path, template: Path, train: ImageSet) -> RunDir:
    """A run that says that it learned from `train`, with the networks of another."""
    shutil.copytree(template, path)
    (path / ".lock").unlink(missing_ok=True)
    header = json.loads((path / "run.json").read_text(encoding="utf-8"))
    (path / "run.json").write_text(json.dumps({**header, "id": f"gan-{path.parent.name}"}))
    run = RunDir.load(path, "gan")
    run.record_training(learned_from([train]))
    return run


def play(
    kind: str, seed: int, pools: dict[str, Pool], template: Path, root: Path
) -> dict[str, object]:
    """One scene; what the audit said."""
    maker, labels, leaks, _ = KINDS[kind]
    rng = np.random.default_rng([seed, sum(map(ord, kind))])
    chosen = tuple(pools[label] for label in labels)
    with ImageSetWriter(root / "photographs") as writer:
        for each in chosen:
            writer.add_copy_evidence(each.searched)
        for each in chosen:
            patients = np.unique(each.patients)
            for row in each.drawn(min(PATIENTS, len(patients) * 3 // 4), rng):
                group = f"{each.label}-{each.patients[row]}"
                writer.add(each.photographs[row], label=each.label, origin="phantom", group=group)
    split = root / "split"
    code = command("data", "split", root / "photographs", "--seed", seed, "--out", split)
    if code:
        raise SystemExit(f"data split ended with {code}")
    known = ImageSet.load(split).select("train")
    train = {x: [known.read_pixels(r) for r in known if r.label == x] for x in labels}
    run = hand_made_run(root / "gan", template, known)
    with ImageSetWriter(root / "generated") as writer:
        for number, (label, picture) in enumerate(maker(Scene(chosen, train, rng))):
            writer.add(picture, label=label, origin="light", run=run.id, seed=number)
        writer.add_lineage(run.id, run.training_images())
    words = (root / "generated", "--train", split, "--run", root / "gan", "--out", root / "audit")
    started = time.perf_counter()
    code = command("audit", *words)
    said = root / "audit" / "audit.json"
    found = json.loads(said.read_text(encoding="utf-8")) if said.exists() else {}
    return {
        "kind": kind,
        "seed": seed,
        "leaks": leaks,
        "exit": code,
        "verdict": found.get("verdict", "refused"),
        "held_out_patients": found.get("counts", {}).get("held_out_patients", 0),
        "found_from": found.get("found_from"),
        "listed": len(found.get("dropped", [])),
        "passes_without": found.get("passes_without_dropped"),
        "control_p": _control_p(found),
        "reasons": "; ".join(found.get("failures", [])),
        "seconds": round(time.perf_counter() - started, 1),
    }


def _control_p(found: dict[str, object]) -> float | None:
    """The two-sided p of the control in the pixels, by the normal law of its spread."""
    spaces = found.get("spaces")
    if not isinstance(spaces, dict):
        return None
    attack = spaces["pixels"]["membership"]
    return float(2 * stats.norm.sf(abs(attack["control"] - 0.5) / attack["control_spread"]))


def template_run(root: Path) -> Path:
    """A GAN of a few steps, whose networks all hand-made runs have."""
    rng = np.random.default_rng(0)
    with ImageSetWriter(root / "noise") as writer:
        for _ in range(8):
            writer.add(rng.integers(0, 256, (16, 16, 3), np.uint8), label="noise", origin="phantom")
    settings = {"resolution": 16, "channel_multiplier": 0.1, "batch": 4, "kimg": 0.016}
    smallest = {"snapshot_samples": 4, "feature_size": 32, "bank_views": 32}
    config = GanConfig.from_sources(None, {**settings, **smallest, "discriminator": "stylegan2"})
    with RunDir.start(root / "template", "gan", config, {}) as run:
        train_gan(writer.images, config, run)
    return root / "template"


def summary(table: list[dict[str, object]]) -> dict[str, str]:
    """Of each kind how often the gate failed, with Wilson's interval."""
    told = {}
    for kind in dict.fromkeys(str(row["kind"]) for row in table):
        rows = [row for row in table if row["kind"] == kind]
        failed = sum(row["exit"] == 3 for row in rows)
        low, high = proportion_interval(failed, len(rows))
        amber = sum(row["verdict"] == "unsure" for row in rows)
        told[kind] = f"failed {failed}/{len(rows)} ({low:.3f} to {high:.3f}), amber {amber}"
    p = [float(str(row["control_p"])) for row in table if row["control_p"] is not None]
    if len(p) > 1:
        told["control"] = f"KS p of uniform: {stats.kstest(p, 'uniform').pvalue:.3f} (n = {len(p)})"
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="two scenes a kind")
    parser.add_argument("--kept", type=Path, help="folder in which pools and features are kept")
    parser.add_argument("--only", default="", help="kinds that hold this word")
    parser.add_argument("--scenes", type=int, help="scenes a kind")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    table: list[dict[str, object]] = []
    with (
        tempfile.TemporaryDirectory(prefix="hzsynth-scenes-") as folder,
        contextlib.ExitStack() as patched,
    ):
        kept = asked.kept or Path(folder) / "kept"
        kept.mkdir(exist_ok=True)
        known = [Remembering(space, kept) for space in default_feature_spaces(CPU_FP32)]
        spaces: tuple[FeatureSpace, ...] = tuple(each.space for each in known)
        patched.enter_context(patch.object(gate, "default_feature_spaces", lambda compute: spaces))
        patched.enter_context(patch.object(Section, "figure", lambda section, *_, **__: section))
        template = template_run(Path(folder))
        kinds = [kind for kind in KINDS if asked.only in kind]
        labels = {label for kind in kinds for label in KINDS[kind][1]}
        pools = {label: pool(label, *POOLS[label], kept) for label in sorted(labels)}
        for seed in range(2 if asked.fast else asked.scenes or max(k[3] for k in KINDS.values())):
            for kind in kinds:
                if seed >= (asked.scenes or KINDS[kind][3]):
                    continue
                root = Path(folder) / f"scene-{len(table)}"
                table.append(play(kind, seed, pools, template, root))
                shutil.rmtree(root)
                print(json.dumps(table[-1]), file=sys.stderr, flush=True)
            write_rows("audit_scenes", table)
        for each in known:
            each.save()
    told = summary(table)
    print(json.dumps({"gate": told, "hardware": hardware(), "versions": versions()}, indent=1))


if __name__ == "__main__":
    main()
