"""Nothing but its pictures tells the filled class from the others, in any arm of a study."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hzsynth.augment.build import build_dataset
from hzsynth.augment.config import Arm, BuildConfig
from hzsynth.classify.train.batches import make_batches
from hzsynth.classify.train.loading import load_training_data
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.data.sources.phantom import render_phantom
from tests.classify.conftest import classify_config

SIDE, NATIVE, COUNT, MULTIPLIER = 48, 96, 8, 6
ARMS: tuple[tuple[Arm, float], ...] = (
    ("real", 0),
    ("mixture", 0),
    ("mixture", 1),
    ("mixture", 4),
    ("synthetic-only", 0),
)


def texture_figures(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Five figures of N pictures 3 x H x W that know no lesion: sharpness, noise, grey, edges, range."""
    grey = pixels.astype(np.float64).mean(1)
    laplace = 4 * grey[:, 1:-1, 1:-1] - (
        grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    )
    flat = (np.abs(pixels.astype(np.int64) - 127).max(1) <= 1).mean((1, 2))
    steps = np.abs(np.diff(grey, axis=2))
    return np.stack(
        [
            np.log1p(laplace.var((1, 2))),
            np.log1p(np.median(np.abs(laplace), (1, 2))),
            flat,
            steps.mean((1, 2)),
            np.ptp(grey, (1, 2)),
        ],
        axis=1,
    )


def told_apart(pixels: NDArray[np.uint8], classes: NDArray[np.int64], pictures: list[str]) -> float:
    """AUROC by which texture tells the class of views of pictures that the probe has never met."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = StratifiedGroupKFold(4, shuffle=True, random_state=0)
    figures = texture_figures(pixels)
    chances = cross_val_predict(
        model, figures, classes, groups=pictures, cv=folds, method="predict_proba"
    )
    return float(roc_auc_score(classes, chances[:, 1]))


@pytest.fixture(scope="module")
def pictures() -> list[NDArray[np.uint8]]:
    return [
        render_phantom("herpes_zoster", "western", seed, 0, NATIVE)[0]
        for seed in range(COUNT * (MULTIPLIER + 1))
    ]


def _sets(
    root: Path, pictures: list[NDArray[np.uint8]], arm: Arm, ratio: float
) -> tuple[ImageSet, ImageSet]:
    """Photographs of two classes, and generated images for the one that is filled.

    The other class holds the very pictures that the arm gives the filled one: all that could tell
    the classes apart is how they are handled.
    """
    drawn = round(ratio * COUNT) if arm == "mixture" else 0
    if arm == "synthetic-only":
        drawn = MULTIPLIER * COUNT
    synthetic = pictures[COUNT : COUNT + drawn]
    others = synthetic if arm == "synthetic-only" else [*pictures[:COUNT], *synthetic]
    with ImageSetWriter(root / "real") as writer:
        for label, part in (("filled", pictures[:COUNT]), ("other", others)):
            for number, picture in enumerate(part):
                writer.add(
                    picture, label=label, split="train", group=f"{label}{number}", origin="real"
                )
        for seed, label in enumerate(("filled", "other")):
            noise = np.random.default_rng(seed).integers(0, 255, (NATIVE, NATIVE, 3), np.uint8)
            writer.add(noise, label=label, split="val", group=f"held-out-{label}", origin="real")
    with ImageSetWriter(root / "synthetic") as made:
        for picture in synthetic:
            made.add(picture, label="filled", origin="stylegan2", run="gan-1")
        made.add_lineage("gan-1", [])
    return writer.images, made.images


def _built(root: Path, pictures: list[NDArray[np.uint8]], arm: Arm, ratio: float) -> ImageSet:
    real, synthetic = _sets(root, pictures, arm, ratio)
    config = BuildConfig(label="filled", ratio=ratio, multiplier=MULTIPLIER, arm=arm)
    return build_dataset(real, [synthetic], config, root / "built", workers=1)


def _seen(built: ImageSet, augment: str) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]:
    """Views of a training: pixels, 1 for the filled class, digest of the picture."""
    data = load_training_data(built, SIDE, "filled")
    config = classify_config(
        None, label="filled", size=SIDE, batch=96, balanced_sampler=True, augment=augment
    )
    batches = make_batches(data, config)
    seen = [batches[step] for step in range(12)]
    filled = torch.cat([batch.targets for batch in seen]) == data.target
    return (
        torch.cat([batch.pixels for batch in seen]).numpy(),
        filled.long().numpy(),
        [data.records[place].sha256 for batch in seen for place in batch.indices.tolist()],
    )


@pytest.mark.parametrize(("arm", "ratio"), ARMS)
@pytest.mark.parametrize("augment", ["vary", "flip"])
def test_texture_does_not_tell_the_filled_class(
    tmp_path: Path, pictures: list[NDArray[np.uint8]], arm: Arm, ratio: float, augment: str
) -> None:
    auroc = told_apart(*_seen(_built(tmp_path, pictures, arm, ratio), augment))
    print(f"{arm} {ratio:g} {augment}: AUROC {auroc:.3f}")
    assert auroc <= 0.55


def test_the_probe_sees_a_class_that_alone_is_varied(
    tmp_path: Path, pictures: list[NDArray[np.uint8]]
) -> None:
    built = _built(tmp_path, pictures, "mixture", 0)
    varied, plain = _seen(built, "vary"), _seen(built, "flip")
    filled = varied[1] == 1
    assert np.array_equal(varied[1], plain[1])
    pixels = np.where(filled[:, None, None, None], varied[0], plain[0])
    assert told_apart(pixels, varied[1], varied[2]) > 0.7
