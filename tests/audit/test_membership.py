"""Membership: figures against scikit-learn, the bootstrap against resampling, and chance."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from hzsynth.audit.membership import membership, membership_failures


def test_membership_of_separated_and_of_equal_distances() -> None:
    rng = np.random.default_rng(2)
    told = membership(rng.uniform(0, 1, 40), rng.uniform(2, 3, 40), rng)
    assert (told.auc, told.tpr) == (1.0, 1.0)
    assert told.low == pytest.approx(1.0)
    same = membership(rng.normal(size=200), rng.normal(size=200), rng)
    assert abs(same.auc - 0.5) < 0.1
    members, others = rng.normal(size=30).round(1), rng.normal(0.4, 1, 20).round(1)
    truth = np.r_[np.ones(30), np.zeros(20)]
    area = membership(members, others, rng, replicates=2).auc
    assert area == pytest.approx(roc_auc_score(truth, -np.r_[members, others]))
    assert same.low < 0.5 < same.high
    assert not same.control_fails


def test_figures_are_those_of_sklearn() -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        members, others = rng.normal(0.6, 1, 40).round(1), rng.normal(0, 1, 150).round(1)
        found = membership(-members, -others, rng, replicates=200)
        truth, scores = np.r_[np.ones(40), np.zeros(150)], np.r_[members, others]
        false, true, _ = roc_curve(truth, scores, drop_intermediate=False)
        assert found.auc == pytest.approx(roc_auc_score(truth, scores))
        assert found.tpr == pytest.approx(max(true[false <= 0.01]))
        assert found.low < found.auc < found.high


def test_the_bootstrap_is_that_of_resampled_photographs() -> None:
    rng = np.random.default_rng(4)
    members, others = rng.normal(0.5, 1, 30), rng.normal(0, 1, 25)
    truth = np.r_[np.ones(30), np.zeros(25)]
    areas = [
        roc_auc_score(truth, np.r_[rng.choice(members, 30), rng.choice(others, 25)])
        for _ in range(600)
    ]
    found = membership(-members, -others, rng, replicates=4000)
    assert [found.low, found.high] == pytest.approx(np.quantile(areas, (0.025, 0.975)), abs=0.03)


def test_chance_seldom_tells_few_photographs_apart() -> None:
    rng = np.random.default_rng(5)
    alarms = [
        bool(
            membership_failures(
                membership(rng.normal(size=8), rng.normal(size=8), rng, 200), 0.6, -3
            )
        )
        for _ in range(500)
    ]
    assert sum(alarms) <= 4
    apart = membership(np.arange(8.0), np.arange(8.0, 16), rng)
    assert membership_failures(apart, 0.6, -3)


def test_the_control_varies_as_chance_says_and_fails_where_the_halves_differ() -> None:
    rng = np.random.default_rng(7)
    pairs = (rng.normal(size=(2, 24)) for _ in range(400))
    found = [membership(one, other, rng, 2) for one, other in pairs]
    scaled = [(one.control - 0.5) / one.control_spread for one in found]
    assert np.std(scaled) == pytest.approx(1, abs=0.12)
    assert np.mean([one.control_fails for one in found]) <= 0.025
    # Two parts that differ, such as two cameras: the attack sees something other than membership.
    first = np.arange(24) < 12
    told = membership(rng.normal(size=24), rng.normal(size=24) + 3 * first, rng, 2, first=first)
    assert told.control_fails


def test_photographs_are_compared_within_their_class() -> None:
    rng = np.random.default_rng(8)
    members, others = rng.normal(size=40), rng.normal(size=30)
    classes = np.arange(40) % 2, np.repeat([0, 1], [20, 10])
    found = membership(members, others, rng, 400, classes=classes)
    areas, pairs = [], []
    for number in (0, 1):
        one, other = members[classes[0] == number], others[classes[1] == number]
        truth = np.r_[np.ones(len(one)), np.zeros(len(other))]
        areas.append(roc_auc_score(truth, -np.r_[one, other]))
        pairs.append(len(one) * len(other))
    assert found.auc == pytest.approx(np.average(areas, weights=pairs))
    assert found.low < found.auc < found.high
    # A class that lies elsewhere changes nothing.
    apart = membership(members + 9 * classes[0], others + 9 * classes[1], rng, 2, classes=classes)
    assert (apart.auc, apart.z) == pytest.approx((found.auc, found.z))
    scaled = []
    for _ in range(300):
        figures = rng.normal(size=30) + 9 * classes[1]
        one = membership(members, figures, rng, 2, classes=classes)
        scaled.append((one.control - 0.5) / one.control_spread)
    assert np.std(scaled) == pytest.approx(1, abs=0.13)
