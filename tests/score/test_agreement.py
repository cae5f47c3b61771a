"""The same figure of the same photographs is the same number wherever it stands."""

import numpy as np
import pytest
import torch

from hzsynth.audit.copying import nearness
from hzsynth.gan.evaluation import SampleJudge
from hzsynth.score.copies import QUANTILE
from hzsynth.score.metrics.memorisation import nearest_neighbour_memorisation
from tests.score.scenes import described, report_of


class Quarters:
    """Photographs by the mean colour of each quarter, 12 numbers."""

    name, dim, preprocessing, weights = "scene", 12, "none", ""

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(pixels.float() / 255, 2).flatten(1)


def noise(count: int, seed: int, lightness: float = 130.0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    colours = rng.normal(lightness, 25, (count, 3, 2, 2)).repeat(4, axis=2).repeat(4, axis=3)
    return torch.from_numpy(np.clip(colours, 0, 255).astype(np.uint8))


def test_a_watched_training_and_score_agree() -> None:
    extractor = Quarters()
    train, held_out, made = noise(40, 0), noise(24, 1), noise(60, 2, lightness=150.0)
    patients = [[f"{side}-{i}" for i in range(n)] for side, n in (("train", 40), ("held-out", 24))]
    watched = SampleJudge(train, patients[0], held_out, patients[1], extractor)(made)
    sets = [
        described(extractor(pixels).numpy(), [str(i) for i in range(len(pixels))], name)
        for pixels, name in ((train, "train"), (held_out, "held-out"), (made, "fake"))
    ]
    report = report_of(sets[0], sets[1], sets[2], 0, ("kid", "prdc"))
    for name in ("precision", "recall"):
        assert report[name].value == watched[name]
    # score states the published mean over subsets, whose expectation is the figure of all images.
    score = report["kid"]
    assert score.spread is not None
    assert score.against_training is not None
    chance = 4 * score.spread / np.sqrt(score.subsets)
    assert score.value == pytest.approx(watched["kid"], abs=chance)
    assert score.against_training == pytest.approx(watched["kid_train"], abs=chance)
    assert abs(watched["kid"]) > 2 * chance


def test_the_audit_and_score_call_the_same_images_near() -> None:
    rng = np.random.default_rng(3)
    train, held_out = (torch.from_numpy(rng.normal(size=(n, 6))).float() for n in (50, 31))
    made = torch.cat([train[:20] + 0.01, torch.from_numpy(rng.normal(size=(40, 6))).float()])
    share = nearest_neighbour_memorisation(made, train, held_out, extractor="scene")
    to_train = torch.cdist(made, train).min(dim=1)
    between = torch.cdist(train, train).fill_diagonal_(float("inf")).min(dim=1).values
    audited = nearness(
        to_train.values.double().numpy(),
        torch.cdist(held_out, train).min(dim=1).values.double().numpy(),
        between.double().numpy(),
        to_train.indices.numpy(),
        QUANTILE,
        0.05,
        fake_cells=np.zeros(len(made), dtype=np.int64),
        held_out_cells=np.zeros(len(held_out), dtype=np.int64),
    )
    assert (share.share, share.p) == (audited.share, audited.p_near)
    assert share.threshold == audited.thresholds[0]
    assert share.noticeable == audited.noticeable
    assert share.beyond_chance
