from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hzsynth.augment.mixture import ARMS, plan_other, plan_target
from hzsynth.core.errors import InputError


@given(n=st.integers(1, 200), m=st.integers(1, 12), share=st.floats(0, 1))
def test_every_arm_has_the_same_size_and_the_asked_composition(n: Any, m: Any, share: Any) -> None:
    ratio = share * (m - 1)
    plan = plan_target(n, ratio, m)
    assert plan.total == m * n
    assert plan.real == n
    assert abs(plan.synthetic - ratio * n) <= 0.5
    # The augmentations keep the proportion of real to synthetic, to the nearest image.
    rest = plan.augmented_real + plan.augmented_synthetic
    assert abs(plan.augmented_real - rest * n / (n + plan.synthetic)) <= 0.5
    assert min(plan.augmented_real, plan.augmented_synthetic) >= 0


def test_the_ends_of_the_grid() -> None:
    augmentation_only = plan_target(30, 0, 10)
    assert (augmentation_only.synthetic, augmentation_only.augmented_real) == (0, 270)
    pure_fill = plan_target(30, 9, 10)
    assert (pure_fill.synthetic, pure_fill.augmented_real, pure_fill.augmented_synthetic) == (
        270,
        0,
        0,
    )
    quarter = plan_target(30, 1, 10)
    assert (quarter.synthetic, quarter.augmented_real, quarter.augmented_synthetic) == (
        30,
        120,
        120,
    )


def test_the_controls() -> None:
    assert plan_target(30, 1, 10, "real").total == 30
    synthetic = plan_target(30, 1, 10, "synthetic-only")
    assert (synthetic.real, synthetic.synthetic) == (0, 300)
    assert {plan_target(30, 1, 10, arm).total for arm in ARMS if arm != "real"} == {300}


@pytest.mark.parametrize(
    ("n", "ratio", "m"), [(30, 9.01, 10), (30, -0.1, 10), (0, 1, 10), (3, 0, 0)]
)
def test_what_cannot_be_made_is_refused(n: int, ratio: float, m: int) -> None:
    with pytest.raises(InputError):
        plan_target(n, ratio, m)


def test_other_classes_are_filled_but_never_cut() -> None:
    assert plan_other(40, 100).total == 100
    assert plan_other(40, 10).total == 40
    assert plan_other(0, 100).total == 0


@given(
    n=st.integers(1, 80), other=st.integers(1, 80), ratio=st.floats(0, 9), size=st.integers(0, 900)
)
def test_the_same_ratio_gives_every_class_the_same_share_of_synthetic_images(
    n: Any, other: Any, ratio: Any, size: Any
) -> None:
    shares = []
    for plan in (plan_target(n, ratio, 10), plan_other(other, size, ratio)):
        shares.append((plan.synthetic + plan.augmented_synthetic) / plan.total)
    # Whole images: half an image of the originals and half of the augmentations each.
    assert abs(shares[0] - shares[1]) <= 1.5 / n + 1.5 / other
