"""Leaning: closed forms, scipy's least squares, and the size of the test."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from hzsynth.audit.leaning import (
    Leanings,
    exchange_roles,
    lean_on_one,
    lean_on_two,
    leaning_test,
)
from hzsynth.audit.roles import Roles, each_its_own


def test_a_copy_leans_on_the_patient_who_was_copied() -> None:
    distances = torch.tensor([[1.0, 2.0, 3.0], [0.0, 4.0, 0.2], [2.0, 2.0, 2.0]])
    leaning = lean_on_one(distances, torch.tensor([0, 0, 1]), 3)
    # Below .1 an image counts as explained.
    expected = [[np.log(3), 0, 0], [np.log(2), 0, 0], [0, 0, 0]]
    assert leaning.numpy() == pytest.approx(np.array(expected), abs=1e-6)
    alone = lean_on_one(distances[:, :2], torch.tensor([0, 0]), 1)
    assert not alone.any()


def test_mixtures_are_the_least_squares_of_scipy() -> None:
    rng = np.random.default_rng(0)
    patients = np.array([0, 1, 1, 2, 3, 4])
    photographs = rng.normal(size=(6, 12))
    photographs /= np.linalg.norm(photographs, axis=1, keepdims=True)
    images = rng.normal(size=(4, 12)) + photographs[[0, 1, 2, 3]]
    images[0] = 0.4 * photographs[0] + 0.6 * photographs[3]
    images /= np.linalg.norm(images, axis=1, keepdims=True)

    def left(image: np.ndarray, rows: np.ndarray) -> float:
        pairs = combinations(rows, 2)
        return max(0.1, min(float(nnls(photographs[list(pair)].T, image)[1]) for pair in pairs))

    everyone = np.arange(6)
    expected = np.zeros((4, 5))
    for row, image in enumerate(images):
        for patient in range(5):
            rest = left(image, everyone[patients != patient])
            expected[row, patient] = np.log(rest / left(image, everyone))
    both = [torch.from_numpy(values).float() for values in (images, photographs[None])]
    found = lean_on_two(both[0], both[1], torch.from_numpy(patients), 5)
    assert found.numpy() == pytest.approx(expected, abs=1e-4)
    # A blend leans on both of its photographs and on nobody else.
    assert set(np.flatnonzero(found[0].numpy() > 0.5)) == {0, 2}


def leanings(on: np.ndarray) -> Leanings:
    return Leanings(torch.from_numpy(on).float(), torch.zeros(len(on)), 1.0)


def test_the_test_finds_copies_of_half_of_the_patients_and_has_its_size() -> None:
    rng = np.random.default_rng(1)
    roles, p = each_its_own(14, 6), []
    drawn = exchange_roles(roles, 999)
    for _ in range(400):
        # Some patients attract many images: what is asked is whether they are those of training.
        on = rng.exponential(size=(1, 20)) ** 3
        p.append(leaning_test(leanings(on), roles, drawn).p)
    for level in (0.01, 0.05, 0.2):
        spread = np.sqrt(level * (1 - level) / 400)
        assert np.mean(np.array(p) <= level) <= level + 3 * spread
    assert np.mean(np.array(p) <= 0.2) >= 0.2 - 3 * np.sqrt(0.16 / 400)
    on = rng.uniform(0, 0.01, size=(60, 20))
    on[np.arange(20), rng.permutation(14)[:10][np.arange(20) % 10]] = 1
    found = leaning_test(leanings(on), roles)
    assert found.p < 0.01
    assert found.share > 0.67
    assert (found.train, found.held_out) == (14, 6)


def test_roles_are_exchanged_within_a_class() -> None:
    base = each_its_own(6, 4)
    classes = torch.tensor([0, 0, 0, 0, 1, 1, 0, 0, 1, 2])
    asked = torch.arange(10) < 9
    roles = Roles(**{**vars(base), "classes": classes, "asked": asked})
    drawn = exchange_roles(roles, 200)
    assert drawn.shape == (200, 9)
    assert set(drawn[:, (classes[:9] == 0).numpy()].sum(axis=1)) == {4}
    assert set(drawn[:, (classes[:9] == 1).numpy()].sum(axis=1)) == {2}
    assert len({tuple(row) for row in drawn.tolist()}) > 20
