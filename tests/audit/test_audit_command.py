"""The audit by the README's command: generators whose faults are planted, from the set to the release."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hzsynth.audit import gate
from hzsynth.audit.feature_spaces import pixel_space
from hzsynth.cli.main import run as hzsynth
from hzsynth.core.image_record import TrainingImage
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.data.sources.phantom import render_phantom

Pixels = np.ndarray
SIDE, PATIENTS, FAKES = 48, 20, 60
PARTS = ["train"] * 14 + ["val"] * 3 + ["test"] * 3


@dataclass(frozen=True)
class Scene:
    """Photographs of two classes in a set with splits, and pictures of new patients."""

    root: Path
    train: list[Pixels]
    fresh: list[Pixels]

    def photographs(self) -> ImageSet:
        return ImageSet.load(self.root / "split")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    root, train = tmp_path_factory.mktemp("scene"), []
    with ImageSetWriter(root / "split") as writer:
        for label in ("herpes_zoster", "normal"):
            for patient in range(PATIENTS):
                for view in range(1 + patient % 3):
                    picture = render_phantom(label, "western", patient, view, SIDE)[0]
                    part = PARTS[patient]
                    group = f"{label}-{patient}"
                    writer.add(picture, label=label, split=part, group=group, origin="phantom")
                    if (label, part) == ("herpes_zoster", "train"):
                        train.append(picture)
    fresh = [render_phantom("herpes_zoster", "western", 500 + n, 0, SIDE)[0] for n in range(FAKES)]
    return Scene(root, train, fresh)


def disguised(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """A flip or turn, encoded as JPEG."""
    turned = np.rot90(picture, int(rng.integers(4)))
    turned = turned[:, ::-1] if rng.random() < 0.5 else turned
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(turned)).save(buffer, "JPEG", quality=60)
    with Image.open(io.BytesIO(buffer.getvalue())) as read:
        return np.asarray(read)


def copied(scene: Scene, rng: np.random.Generator, count: int = FAKES) -> list[Pixels]:
    rows = rng.permutation(np.arange(count) % len(scene.train))
    return [disguised(scene.train[row], rng) for row in rows]


def blended(scene: Scene, rng: np.random.Generator) -> list[Pixels]:
    made = []
    for _ in range(FAKES):
        first, second = rng.permutation(len(scene.train))[:2]
        weight = rng.uniform(0.3, 0.7)
        mixed = weight * scene.train[first].astype(float) + (1 - weight) * scene.train[second]
        made.append(mixed.round().astype(np.uint8))
    return made


GENERATORS: dict[str, tuple[Callable[[Scene, np.random.Generator], list[Pixels]], bool]] = {
    "copies": (lambda scene, rng: [scene.train[n % len(scene.train)] for n in range(FAKES)], True),
    "flips, turns, encodings": (copied, True),
    "half copies": (lambda scene, rng: [*copied(scene, rng, 30), *scene.fresh[:30]], True),
    "blends": (blended, True),
    "new patients": (lambda scene, rng: scene.fresh, False),
}


def generated(path: Path, pictures: list[Pixels], learned: ImageSet, run: str = "gan-1") -> Path:
    """A set as a generator writes it: with the list of what it learned from."""
    with ImageSetWriter(path) as writer:
        for seed, picture in enumerate(pictures):
            writer.add(picture, label="herpes_zoster", origin="light", run=run, seed=seed)
        writer.add_lineage(run, [TrainingImage(r.sha256, r.phash, r.group) for r in learned])
    return path


@pytest.fixture(autouse=True)
def _pixels_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "default_feature_spaces", lambda compute: (pixel_space(),))


def command(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        hzsynth([*map(str, words), "--quiet"])
    return int(ended.value.code or 0)


def audited(out: Path, fake: Path, split: Path, *more: object) -> tuple[int, dict[str, Any]]:
    code = command("audit", fake, "--train", split, *more, "--device", "cpu", "--out", out)
    return code, json.loads((out / "audit.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", GENERATORS)
def test_leaky_generators_fail_and_a_faultless_one_passes(
    scene: Scene, tmp_path: Path, name: str
) -> None:
    maker, leaks = GENERATORS[name]
    learned = scene.photographs().select("train", "herpes_zoster")
    fake = generated(tmp_path / "fake", maker(scene, np.random.default_rng(0)), learned)
    code, found = audited(tmp_path / "audit", fake, scene.root / "split")
    assert code == (3 if leaks else 0), found["sentence"]
    assert found["counts"]["train"] == len(learned)
    assert found["counts"]["held_out_patients"] == 6
    leaning = found["spaces"]["pixels"]["leaning"]
    assert (leaning["p"] < 0.005 and leaning["share"] > 0.67) == leaks


def test_two_classes_that_are_mixed_otherwise_pass(scene: Scene, tmp_path: Path) -> None:
    skin = [render_phantom("normal", "western", 700 + n, 0, SIDE)[0] for n in range(12)]
    learned = scene.photographs().select("train")
    with ImageSetWriter(tmp_path / "fake") as writer:
        for label, pictures in (("herpes_zoster", scene.fresh[:48]), ("normal", skin)):
            for picture in pictures:
                writer.add(picture, label=label, origin="light", run="gan-1", seed=0)
        writer.add_lineage("gan-1", [TrainingImage(r.sha256, r.phash, r.group) for r in learned])
    code, found = audited(tmp_path / "audit", tmp_path / "fake", scene.root / "split")
    assert code == 0, found["sentence"]
    assert found["counts"]["held_out_patients"] == 12
    assert found["remarks"] == []
    assert len(found["spaces"]["pixels"]["thresholds"]) == 2


def test_twenty_copies_are_listed_and_the_generator_is_refused(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learned = scene.photographs().select("train", "herpes_zoster")
    pictures = [*copied(scene, np.random.default_rng(1), 20), *scene.fresh[:40]]
    fake = generated(tmp_path / "fake", pictures, learned)
    code, found = audited(tmp_path / "audit", fake, scene.root / "split")
    assert code == 3
    copies = {record.sha256 for record in ImageSet.load(fake).records[:20]}
    listed = (tmp_path / "audit" / "drop.txt").read_text(encoding="utf-8").split()
    assert copies <= set(listed)
    assert len(listed) <= 23
    assert "mends nothing" in found["sentence"]
    capsys.readouterr()
    words = ("release", fake, "--audit", tmp_path / "audit", "--out", tmp_path / "bundle")
    assert command(*words) == 3
    assert "failed its gate" in capsys.readouterr().err


def test_a_few_copies_are_dropped_and_the_rest_is_released(scene: Scene, tmp_path: Path) -> None:
    learned = scene.photographs().select("train", "herpes_zoster")
    pictures = [*copied(scene, np.random.default_rng(2), 4), *scene.fresh[:56]]
    fake = generated(tmp_path / "fake", pictures, learned)
    code, found = audited(tmp_path / "audit", fake, scene.root / "split")
    assert code == 3
    assert found["passes_without_dropped"] is True
    words = ("release", fake, "--audit", tmp_path / "audit", "--out", tmp_path / "bundle")
    assert command(*words) == 0
    released = ImageSet.load(tmp_path / "bundle")
    assert len(released) == 60 - len(found["dropped"])
    assert 4 <= len(found["dropped"]) <= 7


def test_few_held_out_patients_pass_in_amber_and_say_what_would_be_found(
    scene: Scene, tmp_path: Path
) -> None:
    photographs = scene.photographs()
    kept = {"herpes_zoster-14", "herpes_zoster-17"}
    few = photographs.replace_records(
        r for r in photographs if r.split == "train" or r.group in kept
    )
    with ImageSetWriter(tmp_path / "few") as writer:
        writer.copy_all(few, [(record, {}) for record in few])
    learned = photographs.select("train", "herpes_zoster")
    fake = generated(tmp_path / "fake", scene.fresh, learned)
    code, found = audited(tmp_path / "audit", fake, tmp_path / "few")
    assert (code, found["verdict"]) == (0, "unsure")
    assert found["counts"]["held_out_patients"] == 2
    assert "copies would be found from" in found["sentence"] or "not even" in found["sentence"]


def test_lists_that_do_not_fit_are_refused_in_a_sentence(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photographs = scene.photographs()
    elsewhere = photographs.select("test", "herpes_zoster")
    wrong = generated(tmp_path / "wrong", scene.fresh[:10], elsewhere)
    words = ("--train", scene.root / "split", "--device", "cpu", "--out", tmp_path / "audit")
    assert command("audit", wrong, *words) == 3
    said = capsys.readouterr().err
    assert "the run gan-1 has seen the same file as the test photograph" in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "audit").exists()
