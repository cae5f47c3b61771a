"""The Vendi score counts different images."""

import pytest
import torch

from hzsynth.score.metrics.vendi import vendi_score


def test_vendi_score_counts_different_images() -> None:
    assert vendi_score(torch.eye(6, 10)) == pytest.approx(6.0)
    assert vendi_score(torch.ones(6, 10)) == pytest.approx(1.0)
    assert vendi_score(torch.eye(3).repeat(20, 1)) == pytest.approx(3.0)
