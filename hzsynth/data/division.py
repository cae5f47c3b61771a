"""Deals inseparable units to parts at random, class by class, near the wanted shares.

Every class is dealt on its own (a unit with several classes goes with its rarest): its units are laid
around a circle in random order, each as long as the mean of its shares of the class's
photographs and of its patients, the circle is turned by a random angle, and each unit falls to the part in
whose arc its middle lies. A middle lies everywhere with equal chance: every unit is as likely to be in a part
as the part's share says, whatever its size (systematic sampling, Madow and Madow 1944, Annals of Mathematical
Statistics 15). Draws beyond the tolerance are drawn again, the surer the further: only there a size tells.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hzsynth.core.errors import InputError
from hzsynth.core.seeding import numpy_generator

_DRAWS, _DRAWS_OF_A_CLASS = 64, 64

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def assign_units(
    labels: Sequence[str], units: Integers, shares: Sequence[float], seed: int
) -> Integers:
    """Deals units to parts so that every class comes near its wanted shares.

    Args:
        labels: N class names.
        units: N unit numbers.
        shares: K positive shares of the parts.
        seed: another seed gives another division.

    Returns:
        N part numbers in [0, K).

    Raises:
        InputError: a class has fewer units than there are parts, or no division was found
            in which every part has every class.
    """
    classes = sorted(set(labels))
    column = {label: i for i, label in enumerate(classes)}
    counts = np.zeros((int(units.max()) + 1, len(classes)))
    np.add.at(counts, (units, np.array([column[label] for label in labels])), 1)
    _refuse_few_units(classes, counts, len(shares))
    wanted = np.asarray(shares, dtype=float) / sum(shares)
    tied = (counts > 0).sum(axis=1) > 1
    together = counts[tied].sum(axis=0) > 0
    best: Integers | None = None
    least = np.inf
    for draw in range(_DRAWS):
        rng = numpy_generator(seed, "split", draw)
        # Every fourth draw lays rare and large units first: only so a knot of classes may come apart.
        part = _greedy(counts, wanted, rng) if draw % 4 == 3 else _drawn(counts, wanted, rng)
        if _held(counts, part, len(wanted))[1].min() == 0:
            continue
        # Classes without ties were drawn within their own tolerance.
        beyond = _beyond(counts[:, together], part, wanted)
        if beyond < least:
            best, least = part, beyond
        if rng.random() < np.exp(-beyond):
            break
    if best is None:
        raise InputError(_knot(classes, counts, len(shares)))
    return best[units]


def _refuse_few_units(classes: Sequence[str], counts: Floats, parts: int) -> None:
    for i, label in enumerate(classes):
        holders = int((counts[:, i] > 0).sum())
        if holders < parts:
            raise InputError(
                f"class '{label}' cannot be in all {parts} parts: its "
                f"{int(counts[:, i].sum())} images come from {holders} separate patients or "
                f"photographs, at least {parts} are needed"
            )


def _knot(classes: Sequence[str], counts: Floats, parts: int) -> str:
    tied = int(((counts > 0).sum(axis=1) > 1).sum())
    holders = ", ".join(
        f"{label} {int((counts[:, i] > 0).sum())}" for i, label in enumerate(classes)
    )
    return (
        f"no division into {parts} parts has every class in every part: patients with "
        "several classes, or copies across patients, tie too many images together "
        f"({tied} of {len(counts)} separate patients or photographs have several classes; by class: "
        f"{holders})"
    )


def _held(counts: Floats, part: Integers, parts: int) -> Floats:
    """Photographs and units of every class in every part: 2 x K x C."""
    held = np.zeros((2, parts, counts.shape[1]))
    np.add.at(held[0], part, counts)
    np.add.at(held[1], part, counts > 0)
    return held


def _beyond(counts: Floats, part: Integers, shares: Floats) -> float:
    """By how much of what it should have a part is off, beyond the tolerance; 0 within.

    A part may be off by one unit; where sizes differ, by half the largest and by one and a half.
    """
    if not counts.shape[1]:
        return 0.0
    held = _held(counts, part, len(shares))
    wanted = shares[None, :, None] * held.sum(axis=1, keepdims=True)
    largest = counts.max(axis=0)
    smallest = np.where(counts > 0, counts, np.inf).min(axis=0)
    differ = largest > smallest
    steps = np.stack(
        [np.maximum(1, np.where(differ, largest / 2, largest)), np.where(differ, 1.5, 1.0)]
    )
    return float((np.maximum(np.abs(held - wanted) - steps[:, None, :], 0) / wanted).max())


def _drawn(counts: Floats, shares: Floats, rng: np.random.Generator) -> Integers:
    """One division, every class on its own."""
    totals = counts.sum(axis=0)
    rarest = np.where(counts > 0, totals, np.inf).argmin(axis=1)
    part = np.full(len(counts), -1)
    for label in range(counts.shape[1]):
        own = np.flatnonzero(rarest == label)
        if len(own):
            part[own] = _class_drawn(counts[own, label], shares, rng)
    return part


def _class_drawn(photographs: Floats, shares: Floats, rng: np.random.Generator) -> Integers:
    """Deals the units of one class; within the tolerance where some draws allow it.

    Args:
        photographs: of each of U units.
        shares: K shares that sum to 1.
        rng: source of the order and the angle.

    Returns:
        U part numbers.
    """
    length = (photographs / photographs.sum() + 1 / len(photographs)) / 2
    arcs = _arcs(shares, len(photographs))
    one_size = photographs.max() == photographs.min()
    fewest = min(len(shares), len(photographs))
    best, least = np.zeros(len(photographs), dtype=np.int64), np.inf
    for _ in range(_DRAWS_OF_A_CLASS):
        order = rng.permutation(len(photographs))
        middles = (np.cumsum(length[order]) - length[order] / 2 + rng.random()) % 1
        # Longer and shorter arcs by turns, by a unit at most: more divisions, the same chances.
        ends = np.cumsum(arcs) + (rng.random(len(arcs)) - 0.5) / len(photographs)
        ends[-1] = 1
        part = np.empty(len(photographs), dtype=np.int64)
        part[order] = np.searchsorted(ends, middles, side="right")
        lacking = fewest - len(set(part.tolist()))
        beyond = _beyond(photographs[:, None], part, shares) + lacking
        if beyond < least:
            best, least = part, beyond
        # The further beyond, the rarer: a patient with half of the photographs is tested now and then.
        if not beyond or (not lacking and not one_size and rng.random() < np.exp(-beyond)):
            return part
    return best


def _arcs(shares: Floats, units: int) -> Floats:
    """The parts' shares of the circle: none is so small that it would hold no unit."""
    arcs = shares.copy()
    if units < len(shares):
        return arcs
    for _ in range(len(shares)):
        small = arcs <= 1 / units
        if small.all():
            return np.full(len(shares), 1 / len(shares))
        arcs[small] = 1 / units
        arcs[~small] *= (1 - small.sum() / units) / arcs[~small].sum()
    return arcs


def _greedy(counts: Floats, shares: Floats, rng: np.random.Generator) -> Integers:
    """Rare classes first, large units first, each to the part that lacks it most.

    The greedy rule of iterative stratification (Sechidis et al., 2011), for units that tie classes.
    """
    wanted = shares[:, None] * counts.sum(axis=0)
    totals = counts.sum(axis=0)
    rarity = np.where(counts > 0, totals, np.inf).min(axis=1)
    order = np.lexsort((rng.random(len(counts)), -counts.sum(axis=1), rarity))
    part = np.full(len(counts), -1)
    held = np.zeros_like(wanted)
    for unit in order:
        present = counts[unit] > 0
        lack = ((wanted - held) / wanted)[:, present]
        # A part that has none of a class yet comes first: no part may end without it.
        empty = (held[:, present] == 0).any(axis=1)
        over = np.maximum(held + counts[unit] - wanted, 0)[:, present].sum(axis=1)
        score = lack.mean(axis=1) - 0.5 * over / counts[unit].sum() + empty
        part[unit] = int(np.argmax(score + 1e-6 * rng.random(len(score))))
        held[part[unit]] += counts[unit]
    return part
