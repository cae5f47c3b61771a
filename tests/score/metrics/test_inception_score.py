"""The Inception score of scores whose value is known."""

import pytest
import torch

from hzsynth.score.metrics.inception_score import inception_score


def test_inception_score_of_known_scores() -> None:
    assert inception_score(50.0 * torch.eye(8), splits=1) == pytest.approx(8.0, rel=1e-4)
    assert inception_score(torch.ones(8, 5), splits=1) == pytest.approx(1.0)
