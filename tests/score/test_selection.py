"""Filters on features whose answer anybody can tell."""

from typing import Any

import numpy as np
import pytest
import torch

from hzsynth.core.devices import CPU_FP32
from hzsynth.core.errors import InputError
from hzsynth.score.selection import authentic, plausible, select_images


@pytest.fixture
def rng() -> Any:
    return np.random.default_rng(0)


def test_plausible_and_authentic_on_a_line() -> None:
    real = torch.tensor([[0.0], [1.0], [2.0], [3.0], [4.0]])
    # Radii to the third neighbour: 3, 2, 2, 2, 3.
    fake = torch.tensor([[-2.9], [-3.1], [7.0], [7.2], [2.0], [2.4], [5.5]])
    assert plausible(fake, real).tolist() == [True, False, True, False, True, True, True]
    # Nearer to a photograph than 1, its neighbour's distance, is a copy.
    assert authentic(fake, real).tolist() == [True, True, True, True, False, False, True]


def test_plausible_agrees_with_torch_fidelitys_precision(rng: np.random.Generator) -> None:
    from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, prc_features_to_metric

    real = torch.from_numpy(rng.normal(size=(40, 5))).float()
    fake = torch.from_numpy(rng.normal(0.5, 1.5, size=(60, 5))).float()
    theirs = prc_features_to_metric(fake, real, prc_neighborhood=3, verbose=False)
    assert plausible(fake, real).float().mean() == pytest.approx(theirs[KEY_METRIC_PRECISION])


def test_copies_and_oddities_are_left_out(sets: Any) -> None:
    real, made = sets
    names = [r.sha256 for r in made]
    found = select_images([made], real, "eczema", "both", compute=CPU_FP32)
    assert set(names[:4]) <= found.dropped
    assert found.looked_at == 9
    assert found.copies >= 3
    assert found.implausible >= 1
    assert len(found.dropped) < 9
    only = select_images([made], real, None, "authentic", compute=CPU_FP32)
    assert set(names[:3]) <= only.dropped
    assert names[3] not in only.dropped
    assert select_images([made], real, "eczema", "none", compute=CPU_FP32).dropped == frozenset()
    with pytest.raises(InputError, match="more than 3 are needed"):
        select_images(
            [made], real.replace_records(real.records[:3]), "eczema", "both", compute=CPU_FP32
        )
