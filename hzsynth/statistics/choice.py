"""The best of several arms, chosen for each run on the other runs, and how far that varies.

A run's own figures must not choose its arm, or its luck would be counted twice. Chosen on the others
the differences are unbiased, but no longer independent: run r's arm is one that did well in run s, and
run s's arm one that did well in run r. Of twelve arms that are all alike, in five runs, the variance of
the mean difference is 1.7 times what s^2 / R says. So it is taken from the jackknife of the whole
procedure, each run left out and all arms chosen anew. By Efron and Stein (1981, Ann Stat 9:586) that is
on average not below the true variance; with a single arm it is s^2 / R.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_DIGITS = 9
"""Figures that agree so far are equal, and the first arm is taken."""


def best_place(validation: Floats) -> int:
    """The arm with the best mean over the runs, the first of equal ones.

    Args:
        validation: A x R, the figures of A arms in R runs.

    Returns:
        Its row.
    """
    return int(validation.mean(axis=1).round(_DIGITS).argmax())


def places_by_run(validation: Floats) -> Integers:
    """For each run the arm that is best on the other runs; a single run chooses its own.

    Args:
        validation: A x R, the figures of A arms in R runs.

    Returns:
        R rows.
    """
    runs = validation.shape[1]
    if runs == 1:
        return np.array([best_place(validation)], np.int64)
    others = (validation.sum(axis=1, keepdims=True) - validation) / (runs - 1)
    places: Integers = others.round(_DIGITS).argmax(axis=0)
    return places


def variance_of_choice(validation: Floats, differences: Floats) -> float:
    """Variance of the mean difference of the chosen arms from the training runs, by the jackknife.

    Args:
        validation: A x R, by which the arms are chosen.
        differences: A x R, of each arm from what it is compared with, on other photographs.

    Returns:
        The variance; NaN with a single run.
    """
    runs = validation.shape[1]
    if runs == 1:
        return float("nan")
    means = []
    for left_out in range(runs):
        kept = np.delete(np.arange(runs), left_out)
        places = places_by_run(validation[:, kept])
        means.append(float(differences[places, kept].mean()))
    return float((runs - 1) * np.var(means))
