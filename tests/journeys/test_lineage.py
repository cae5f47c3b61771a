"""The holes that lineage once had, planted by commands: each leak is refused, its faultless twin passes.

One collection is divided by hand: photographs of some patients are tested on, and the *leaking* generator of
every scene has learned from these patients, the *clean* one from others. Exit code 3 and a sentence that
names the photograph or the patient, or 0.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hzsynth.core.image_record import ImageRecord, training_images_csv
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.lineage import learned_from
from hzsynth.core.run import RunDir
from tests.commands import Outcome, hzsynth

pytestmark = pytest.mark.slow

LABEL, OTHER = "herpes_zoster", "eczema"
TRAIN, VAL, TEST, ELSEWHERE = range(4), range(4, 6), range(6, 8), range(10, 14)
BOTH = pytest.mark.parametrize(("name", "code"), [("leaking", 3), ("clean", 0)])
_PHANTOM = """
size = 32
logo_share = 0.0
[patients]
"""
_GAN = (
    *("--generator", "stylegan2", "--discriminator", "stylegan2", "--mapping-layers", 1),
    *("--resolution", 16, "--channel-multiplier", 0.1, "--batch", 4),
    *("--kimg", 0.008, "--no-watch", "--snapshot-samples", 4, "--label", LABEL),
)
_CYCLEGAN = (
    *("--resolution", 32, "--steps", 1, "--objective", "cyclegan", "--width", 4),
    *("--blocks", 1, "--discriminator-width", 4),
)
_CLASSIFIER = ("--pretrained", "none", "--size", 32, "--steps", 1, "--finetune", "full")

Change = Callable[[ImageRecord], dict[str, Any] | None]
"""What becomes of an image of another set: changed fields; None leaves it out."""


def number(record: ImageRecord) -> int:
    """The patient's."""
    return int(record.group.rpartition("-")[2])


def part(images: ImageSet, out: Path, change: Change) -> ImageSet:
    """A part of a set, divided by hand."""
    with ImageSetWriter(out) as writer:
        writer.inherit(images)
        for record in images:
            changes = change(record)
            if changes is not None:
                writer.copy(images, record, **changes)
    return writer.images


def divided(images: ImageSet, out: Path, splits: Mapping[str, Iterable[int]]) -> ImageSet:
    """The photographs of patients whose numbers are given, by split."""
    of_patient = {patient: split for split, numbers in splits.items() for patient in numbers}

    def change(record: ImageRecord) -> dict[str, Any] | None:
        split = of_patient.get(number(record))
        return None if split is None else {"split": split}

    return part(images, out, change)


def of_patients(images: ImageSet, out: Path, numbers: Iterable[int]) -> ImageSet:
    """The photographs of some patients with the target disease, without a split."""
    chosen = set(numbers)
    return part(
        images, out, lambda r: {"split": ""} if r.label == LABEL and number(r) in chosen else None
    )


def done(*arguments: object, out: Path) -> Path:
    """What a command writes that ends well."""
    outcome = hzsynth(*arguments, "--out", out, "--quiet", "--device", "cpu")
    assert outcome.code == 0, outcome.err
    return out


def generator_of(gan: Path, learned: ImageSet, out: Path) -> Path:
    """A generator that learned from other photographs: what it makes is beside the point here."""
    shutil.copytree(gan, out)
    header = json.loads((out / "run.json").read_text())
    header["id"] = f"gan-{out.name}"
    (out / "run.json").write_text(json.dumps(header))
    (out / "training_images.csv").write_text(training_images_csv(learned_from([learned])))
    return out


def generated(gan: Path, out: Path) -> Path:
    return done("gan", "generate", gan, "--count", 12, out=out)


def built(real: Path, synthetic: Path, out: Path) -> Outcome:
    named = ("--synthetic", synthetic, "--label", LABEL, "--ratio", 0.25, "--multiplier", 2)
    plain = ("--no-report", "--workers", 1, "--out", out, "--quiet", "--device", "cpu")
    return hzsynth("build-dataset", real, *named, *plain)


def told(outcome: Outcome, code: int, *names: str) -> None:
    """The code, and for a refusal one sentence that names what it is about."""
    assert outcome.code == code, outcome.err
    if code == 3:
        sentence = outcome.err.strip().splitlines()[-1]
        assert any(f"photograph '{name}" in sentence for name in ("images/", *names)), sentence
        assert any(
            how in sentence for how in ("the same file", "near-duplicate", "the same patient (")
        ), sentence


class World(NamedTuple):
    """What the scenes share, each as the path of a folder.

    ``split`` is divided into TRAIN, VAL and TEST; the leaking generator learned from TEST.
    """

    root: Path

    def __truediv__(self, name: str) -> Path:
        return self.root / name


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("lineage")
    phantoms = {"all": f"{LABEL} = 14\n{OTHER} = 14\n", "skin": "normal = 4\n"}
    for name, patients in phantoms.items():
        (root / f"{name}.toml").write_text(_PHANTOM + patients)
        done("data", "import", "phantom", "--config", root / f"{name}.toml", out=root / name)
    everything = ImageSet.load(root / "all")
    divided(everything, root / "split", {"train": TRAIN, "val": VAL, "test": TEST})
    divided(everything, root / "other", {"train": TEST, "val": VAL, "test": TRAIN})
    train, val, test = ELSEWHERE[:2], ELSEWHERE[2:3], ELSEWHERE[3:]
    divided(everything, root / "elsewhere", {"train": train, "val": val, "test": test})
    for name, numbers in (("leaking", TEST), ("clean", TRAIN)):
        of_patients(everything, root / f"{name}-photographs", numbers)
        done("gan", "train", root / f"{name}-photographs", *_GAN, out=root / f"{name}-gan")
        generated(root / f"{name}-gan", root / f"{name}-generated")
    tone = (root / "split", root / "skin", "--label", LABEL, "--resolution", 32)
    done("cyclegan", "train", *tone, out=root / "translator")
    for name in ("leaking", "clean"):
        made = ("cyclegan", "translate", root / "translator", root / f"{name}-generated")
        done(*made, out=root / f"{name}-translated")
    return World(root)


@BOTH
def test_a_generators_images(world: World, tmp_path: Path, name: str, code: int) -> None:
    told(built(world / "split", world / f"{name}-generated", tmp_path / "set"), code)


@BOTH
def test_translated_images_of_a_generator(
    world: World, tmp_path: Path, name: str, code: int
) -> None:
    """The README's own path: of the generated image only a row travels."""
    translated = world / f"{name}-translated"
    told(built(world / "split", translated, tmp_path / "set"), code)
    assert (tmp_path / "set").exists() == (code == 0)
    plan = ("ablate", "plan", world / "split", "--generator", translated, "--label", LABEL)
    told(hzsynth(*plan, "--ratios", "0,1", "--multiplier", 2), code)
    mixture = _mixture(world / "split", translated, tmp_path / "mixture")
    run = ("classify", "train", mixture, "--label", LABEL, *_CLASSIFIER, "--out", tmp_path / "run")
    told(hzsynth(*run, "--quiet", "--device", "cpu"), code)


def _mixture(real: Path, synthetic: Path, out: Path) -> Path:
    """A training set that no command of ours has built."""
    with ImageSetWriter(out) as writer:
        for path in (real, synthetic):
            images = ImageSet.load(path)
            writer.inherit(images)
            for record in images:
                writer.copy(images, record, split=record.split or "train")
    return out


@BOTH
def test_an_audit_and_a_release(world: World, tmp_path: Path, name: str, code: int) -> None:
    """No photograph that stands behind the images is taken for new, and without an audit nothing leaves."""
    images, audit = world / f"{name}-translated", tmp_path / "audit"
    end = ("--quiet", "--device", "cpu")
    told(hzsynth("audit", images, "--train", world / "split", *end, "--out", audit), code)
    assert audit.exists() == (code == 0)
    named = ("--name", "Zoster", "--contact", "data@hospital.example")
    released = hzsynth("release", images, "--audit", audit, *named, "--out", tmp_path / "bundle")
    assert (released.code == 0) == (code == 0), released.err


@BOTH
def test_translated_transplants(world: World, tmp_path: Path, name: str, code: int) -> None:
    lesions, skin = world / f"{name}-photographs", world / "skin"
    laid = ("cyclegan", "transplant", lesions, skin, "--count", 12, "--workers", 1)
    done(*laid, out=tmp_path / "laid")
    told(built(world / "split", tmp_path / "laid", tmp_path / "direct"), code)
    harmonised = tmp_path / "harmonised"
    done("cyclegan", "translate", world / "translator", tmp_path / "laid", out=harmonised)
    told(built(world / "split", harmonised, tmp_path / "set"), code)


@BOTH
def test_a_translator_that_learned_from_generated_images(
    world: World, tmp_path: Path, name: str, code: int
) -> None:
    learned = (world / f"{name}-generated", world / "skin")
    done("cyclegan", "train", *learned, *_CYCLEGAN, out=tmp_path / "run")
    train = world / "clean-photographs"
    done("cyclegan", "translate", tmp_path / "run", train, out=tmp_path / "translated")
    told(built(world / "split", tmp_path / "translated", tmp_path / "set"), code)


@pytest.fixture(scope="module")
def classifiers(world: World) -> dict[str, Path]:
    """Classifiers that learned from the photographs that the world tests on, and from others."""
    return {
        name: done(
            *("classify", "train", world / images, "--label", LABEL, *_CLASSIFIER),
            out=world / f"{name}-classifier",
        )
        for name, images in (("leaking", "other"), ("clean", "split"))
    }


@BOTH
@pytest.mark.parametrize("role", ["classifier", "masks"])
def test_a_classifier_that_takes_part_in_a_translation(
    world: World, tmp_path: Path, classifiers: dict[str, Path], name: str, code: int, role: str
) -> None:
    named = (f"--{role}", classifiers[name])
    kept = ("--preserve", "semantic") if role == "classifier" else ()
    skin, run = world / "skin", tmp_path / "run"
    end = (*_CYCLEGAN, *named, *kept, "--quiet", "--device", "cpu")
    own = (world / "split", skin, "--label", LABEL)
    told(hzsynth("cyclegan", "train", *own, *end, "--out", tmp_path / "own"), code)
    # Where no photograph is held out there is nothing to refuse, and the list goes along.
    hidden = (world / "clean-photographs", skin)
    assert hzsynth("cyclegan", "train", *hidden, *end, "--out", run).code == 0
    done("cyclegan", "translate", run, world / "clean-photographs", out=tmp_path / "translated")
    told(built(world / "split", tmp_path / "translated", tmp_path / "set"), code)


@BOTH
def test_photographs_that_validated_a_classifier(
    world: World, tmp_path: Path, classifiers: dict[str, Path], name: str, code: int
) -> None:
    """They validate it again, and test nothing."""
    tested = VAL if name == "leaking" else TEST
    images = divided(ImageSet.load(world / "all"), tmp_path / "set", {"val": VAL, "test": tested})
    evaluate = ("classify", "evaluate", classifiers["clean"], images.root, "--quiet")
    told(hzsynth(*evaluate), code)
    if code == 0:
        told(hzsynth(*evaluate, "--split", "val"), 0)


def test_a_judge_of_translations_has_not_seen_what_it_judges(
    world: World, tmp_path: Path, classifiers: dict[str, Path]
) -> None:
    compare = ("cyclegan", "compare", world / "translator", world / "split", world / "skin")
    judged = ("--label", LABEL, "--classifier", classifiers["leaking"], "--out", tmp_path / "page")
    told(hzsynth(*compare, *judged, "--quiet", "--device", "cpu"), 3)


@pytest.fixture(scope="module")
def versions(world: World) -> dict[str, Path]:
    """The divided set without patients' names, as it came and preprocessed."""
    raw = part(ImageSet.load(world / "split"), world / "raw", lambda _: {"group": ""})
    small = ("--size", 16, "--workers", 1)
    clean = done("data", "preprocess", raw.root, *small, out=world / "preprocessed")
    return {"raw": raw.root, "preprocessed": clean}


@BOTH
@pytest.mark.parametrize(("learned", "filled"), [("raw", "preprocessed"), ("preprocessed", "raw")])
def test_preprocessed_copies_are_the_photographs_they_were_made_from(
    world: World,
    tmp_path: Path,
    versions: dict[str, Path],
    name: str,
    code: int,
    learned: str,
    filled: str,
) -> None:
    split = "test" if name == "leaking" else "train"
    photographs = part(
        ImageSet.load(versions[learned]),
        tmp_path / "photographs",
        lambda r: {"split": ""} if (r.label, r.split) == (LABEL, split) else None,
    )
    # Whatever the hash would find: the files alone are enough.
    blind = [replace(r, phash="") for r in photographs]
    rows = [replace(row, phash="") for row in photographs.ancestors]
    blinded = ImageSet(photographs.root, blind, ancestors=rows)
    gan = generator_of(world / "clean-gan", blinded, tmp_path / "gan")
    outcome = built(versions[filled], generated(gan, tmp_path / "made"), tmp_path / "set")
    told(outcome, code)
    assert "the same file" in outcome.err or code == 0


@BOTH
def test_copies_that_dedup_left_out(world: World, tmp_path: Path, name: str, code: int) -> None:
    (tmp_path / "phantom.toml").write_text(
        _PHANTOM.replace("32", "64").replace("[", "duplicates = 6\n[")
        + f"{LABEL} = 10\n{OTHER} = 4\n"
    )
    named = ("--config", tmp_path / "phantom.toml")
    images = done("data", "import", "phantom", *named, out=tmp_path / "all")
    kept = ImageSet.load(done("data", "dedup", images, "--workers", 1, out=tmp_path / "kept"))
    everything = ImageSet.load(images)
    known = {record.sha256 for record in kept}
    copies = [r for r in everything if r.sha256 not in known and r.label == LABEL and not r.group]
    assert copies
    originals = {number(r) for r in everything for c in copies if _is_copy(c, r)}
    tested = originals if name == "leaking" else set(range(10)) - originals
    split = divided(
        kept,
        tmp_path / "split",
        {"test": tested, "val": (), "train": set(range(10)) - tested},
    )
    gan = generator_of(
        world / "clean-gan",
        ImageSet(images, [replace(r, phash="") for r in copies]),
        tmp_path / "gan",
    )
    told(built(split.root, generated(gan, tmp_path / "made"), tmp_path / "set"), code)


def _is_copy(copy: ImageRecord, record: ImageRecord) -> bool:
    return bool(record.group) and Path(record.file_name).stem == copy.extra["copy_of"]


@pytest.fixture(scope="module")
def of_synthetic_images(world: World) -> dict[str, Path]:
    """Classifiers of a hospital that shares no patient, filled with images of either generator."""
    made = {}
    for name in ("leaking", "clean"):
        mixture = world / f"{name}-mixture"
        outcome = built(world / "elsewhere", world / f"{name}-generated", mixture)
        assert outcome.code == 0, outcome.err
        run = ("classify", "train", mixture, "--label", LABEL, *_CLASSIFIER)
        made[name] = done(*run, out=world / f"{name}-of-synthetic")
    return made


@BOTH
@pytest.mark.parametrize(
    "command",
    ["evaluate", "compare", "robustness", "explain", "export", "pretrained", "continued"],
)
def test_a_classifier_of_synthetic_images(
    world: World,
    tmp_path: Path,
    of_synthetic_images: dict[str, Path],
    name: str,
    code: int,
    command: str,
) -> None:
    """It has never seen the hospital's photographs; the generator of its training images has."""
    run, images, out = of_synthetic_images[name], world / "split", ("--out", tmp_path / "out")
    if command == "export":
        # Calibration asks the validation photographs: here those are the ones that were learned from.
        validated = {"train": TRAIN, "val": TEST}
        images = divided(ImageSet.load(world / "all"), tmp_path / "set", validated).root
    train = ("train", images, "--label", LABEL)
    arguments: dict[str, tuple[object, ...]] = {
        "evaluate": ("evaluate", run, images, *out),
        "compare": ("compare", run, "--set", images, *out),
        "robustness": ("robustness", run, images, "--workers", 1, *out),
        "explain": ("explain", run, images, "--most", 2, *out),
        "export": ("export", run, "--calibrate", images, *out),
        "pretrained": (*train, *_CLASSIFIER, "--pretrained", run, *out),
        "continued": (
            *("train", images, "--continue", run, "--old", world / f"{name}-mixture"),
            *("--protect", "none", "--steps", 1, *out),
        ),
    }
    told(hzsynth("classify", *arguments[command], "--quiet", "--device", "cpu"), code)


@BOTH
def test_merged_sets_know_the_patients_of_the_lists_that_travel(
    world: World, tmp_path: Path, name: str, code: int
) -> None:
    """One photograph of a patient was learned from; the others, merged with another set, are tested on."""
    everything = ImageSet.load(world / "all")
    several = [number(r) for r in everything if r.label == LABEL]
    patients = sorted({patient for patient in several if several.count(patient) > 1})[:2]
    first = {next(r.sha256 for r in everything if _shows(r, patient)) for patient in patients}
    learned = part(everything, tmp_path / "learned", lambda r: {} if r.sha256 in first else None)
    rest = part(everything, tmp_path / "rest", lambda r: None if r.sha256 in first else {})
    korean = _PHANTOM.replace("[", 'cohorts = ["korean"]\n[') + f"{LABEL} = 2\n{OTHER} = 2\n"
    (tmp_path / "abroad.toml").write_text(korean)
    named = ("--config", tmp_path / "abroad.toml")
    abroad = done("data", "import", "phantom", *named, out=tmp_path / "abroad")
    merged = done("data", "merge", rest.root, abroad, "--workers", 1, out=tmp_path / "merged")
    own = name == "leaking"

    def split(record: ImageRecord) -> dict[str, Any]:
        tested = any(_shows(record, patient) for patient in patients) == own
        return {"split": "test" if tested else "train"}

    real = part(ImageSet.load(merged), tmp_path / "split", split)
    blind = ImageSet(learned.root, [replace(r, phash="") for r in learned])
    gan = generator_of(world / "clean-gan", blind, tmp_path / "gan")
    outcome = built(real.root, generated(gan, tmp_path / "made"), tmp_path / "set")
    told(outcome, code)
    assert "of the same patient (" in outcome.err or code == 0


def _shows(record: ImageRecord, patient: int) -> bool:
    western = record.source == "phantom-western"
    return western and record.label == LABEL and number(record) == patient


@BOTH
def test_merged_synthetic_sets_bring_their_lists(
    world: World, tmp_path: Path, name: str, code: int
) -> None:
    pair = (world / f"{name}-generated", world / "clean-translated")
    merged = done("data", "merge", *pair, "--workers", 1, out=tmp_path / "merged")
    told(built(world / "split", merged, tmp_path / "set"), code)


@BOTH
def test_photographs_that_watched_a_generator(
    world: World, tmp_path: Path, name: str, code: int
) -> None:
    """They say when to stop, so they are nothing to test on."""
    everything = ImageSet.load(world / "all")
    photographs = of_patients(everything, tmp_path / "photographs", range(10))
    settings = ("--held-out-share", 0.4, *_GAN)
    gan = done("gan", "train", photographs.root, *settings, out=tmp_path / "gan")
    roles = {i.group: i.role for i in RunDir.load(gan).training_images() if i.group}
    assert set(roles.values()) == {"learned", "watched"}
    watched = {number(r) for r in photographs if roles[r.group] == "watched"}
    tested = watched if name == "leaking" else set(range(10, 14))
    splits = {"train": set(range(10)) - tested, "test": tested}
    split = divided(everything, tmp_path / "split", splits)
    told(built(split.root, generated(gan, tmp_path / "made"), tmp_path / "set"), code)


@BOTH
def test_a_generator_that_starts_from_another(
    world: World, tmp_path: Path, name: str, code: int
) -> None:
    start = ("--init", world / f"{name}-gan")
    end = ("--out", tmp_path / "own", "--quiet", "--device", "cpu")
    told(hzsynth("gan", "train", world / "split", *_GAN, *start, *end), code)
    gan = done("gan", "train", world / "clean-photographs", *_GAN, *start, out=tmp_path / "gan")
    told(built(world / "split", generated(gan, tmp_path / "made"), tmp_path / "set"), code)


def test_what_cannot_be_followed_is_refused_and_named(world: World, tmp_path: Path) -> None:
    translated = ImageSet.load(shutil.copytree(world / "clean-translated", tmp_path / "made"))
    (run,) = {row.run for row in translated.ancestors}
    lost = tmp_path / "made" / "lineage"
    (lost / f"{run}.csv").unlink()
    outcome = built(world / "split", tmp_path / "made", tmp_path / "set")
    assert (outcome.code, run in outcome.err) == (3, True), outcome.err
    (lost / "ancestors.csv").unlink()
    outcome = built(world / "split", tmp_path / "made", tmp_path / "set")
    assert outcome.code == 3
    parents = {parent[:12] for record in translated for parent in record.parents}
    assert any(parent in outcome.err for parent in parents), outcome.err


def test_a_list_of_drops_that_held_out_photographs_chose(world: World, tmp_path: Path) -> None:
    drop = tmp_path / "drop.txt"
    drop.write_text("")
    named = (world / "split", "--synthetic", world / "clean-generated", "--label", LABEL)
    end = ("--ratio", 1, "--multiplier", 2, "--no-report", "--workers", 1, "--drop", drop)
    for figures, code in (({"dropped": []}, 3), ({"dropped_by": "training photographs"}, 0)):
        (tmp_path / "audit.json").write_text(json.dumps(figures))
        outcome = hzsynth("build-dataset", *named, *end, "--out", tmp_path / f"set-{code}")
        assert outcome.code == code, outcome.err
        assert ("held-out photographs chose" in outcome.err) == (code == 3)
