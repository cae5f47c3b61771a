"""The gate of a translation model: when it may be recommended, and what to use instead.

A model passes when both its distance in skin tone (ITA) and its KID to the target are lower than those
of every tone transfer that keeps the lesions, and at least 95 % of the lesions are still called
lesions afterwards. A trained translation starts at the closed-form tone map and is held to its tone. What it
has learned beyond must be seen: it has to be nearer to the target in KID or texture by twice the error of
the difference, in neither further away, and its tone not further off than chance makes it. The
transplant is no tone transfer but a generator of its own, and has to pass the same gate to be recommended
in the model's place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hzsynth.cyclegan.baselines import NO_CHANGE, TONE, TONE_TRANSFERS
from hzsynth.cyclegan.paired_distance import Gain

MODEL, TRANSPLANT, BOTH = "cyclegan", "transplant", "transplant + cyclegan"
_LOWEST_RETENTION = 0.95


@dataclass(frozen=True)
class Row:
    """What a method does; figures are None where they do not exist.

    Attributes:
        method: its name.
        pictures: how many source photographs it was measured on.
        called: how many of them the judge called a lesion before.
        retention: share of those still called one.
        retention_jpeg: the same after JPEG at quality 75.
        probability_change: mean change of the judge's probability.
        similarity: median SSIM inside the lesion.
        feature_distance: median distance of the lesion's features.
        contrast: median ratio of the lesion's contrast in a*, after / before.
        area: median ratio of the area that looks inflamed, after / before.
        tone: first Wasserstein distance of ITA to the target, degrees.
        red: the same of a*.
        yellow: the same of b*.
        kid: to the target, on patches without lesion.
        kid_spread: its standard deviation over subsets.
        texture: the same distance in a feature space that sees texture and no tone.
        kid_gain: how much nearer to the target it is than the closed-form tone map, squared MMD; None where
            that was not measured before.
        texture_gain: the same in texture.
        colour_map: share of its change that an affine map of colours explains, median; None for a transplant.
        normal_turned: share of healthy photographs, called healthy before, that are called a lesion.
    """

    method: str
    pictures: int
    called: int
    retention: float | None
    retention_jpeg: float | None
    probability_change: float
    similarity: float | None
    feature_distance: float | None
    contrast: float | None
    area: float | None
    tone: float
    red: float
    yellow: float
    kid: float | None
    kid_spread: float | None
    texture: float | None
    kid_gain: Gain | None
    texture_gain: Gain | None
    colour_map: float | None
    normal_turned: float | None

    def flat(self) -> dict[str, Any]:
        """Plain values by name; a gain and its error are two of them."""
        values: dict[str, Any] = {}
        for name, value in vars(self).items():
            if name.endswith("_gain"):
                values[name] = None if value is None else value.value
                values[f"{name}_error"] = None if value is None else value.error
            else:
                values[name] = value
        return values


def recommend(
    rows: Sequence[Row], tone_floor: float | None = None, model: str = MODEL
) -> tuple[bool, str]:
    """The gate and its sentence.

    Args:
        rows: of `compare`, with the tone transfers, the transplant and the model.
        tone_floor: distance in ITA that chance makes, degrees.
        model: the row of the model: it is the closed-form tone map where nothing was learned.

    Returns:
        Whether the model passes, and what to use.
    """
    by_name = {row.method: row for row in rows}
    names = [name for name in (*dict(TONE_TRANSFERS), TONE) if name != model]
    transfers = usable([by_name[name] for name in names if name in by_name])
    reasons = failures(by_name[model], transfers, tone_floor)
    if not reasons:
        return True, f"Use the model: {_figures(by_name[model], transfers)}."
    others = [
        row
        for name in (BOTH, TRANSPLANT)
        if (row := by_name.get(name)) is not None and not failures(row, transfers, tone_floor)
    ]
    why = f"Do not use the model: {'; '.join(reasons)}."
    if others:
        best = min(others, key=lambda row: (row.kid or 0.0, row.tone))
        return False, f"{why} Use {best.method} instead: {_figures(best, transfers)}."
    best = best_transfer(transfers)
    if best.method == NO_CHANGE:
        return False, f"{why} Nothing else is better than the photographs as they are (no-op)."
    return False, f"{why} Use {best.method} instead: {_figures(best, transfers)}."


def usable(transfers: Sequence[Row]) -> list[Row]:
    """The tone transfers that keep at least 95 % of the lesions; no-op always is one of them."""
    return [
        row
        for row in transfers
        if row.method == NO_CHANGE or (row.retention or 0.0) >= _LOWEST_RETENTION
    ]


def best_transfer(transfers: Sequence[Row]) -> Row:
    """The tone transfer with the best mean rank in tone and KID."""

    def rank(row: Row) -> tuple[int, float]:
        lower_tone = sum(other.tone < row.tone for other in transfers)
        lower_kid = sum(_kid(other) < _kid(row) for other in transfers)
        return lower_tone + lower_kid, row.tone

    return min(transfers, key=rank)


def _kid(row: Row) -> float:
    return np.inf if row.kid is None else row.kid


def failures(row: Row, transfers: Sequence[Row], tone_floor: float | None = None) -> list[str]:
    """Why a method fails the gate; empty when it passes."""
    found = []
    others = [transfer for transfer in transfers if transfer.method != TONE]
    tone, kid = min(others, key=lambda r: r.tone), min(others, key=_kid)
    if row.tone >= tone.tone:
        found.append(
            f"its distance in ITA ({row.tone:.1f}°) is no lower than that of {tone.method} "
            f"({tone.tone:.1f}°)"
        )
    if row.kid is None:
        found.append("its KID is unknown, as there are too few patches of skin")
    elif row.kid >= _kid(kid):
        found.append(
            f"its KID ({row.kid:.4f}) is no lower than that of {kid.method} ({kid.kid:.4f})"
        )
    found += [
        reason
        for transfer in transfers
        if transfer.method == TONE
        for reason in _no_better_than_its_start(row, transfer, tone_floor or 0.0)
    ]
    if row.retention is None:
        found.append("whether it keeps lesions is unknown, as the judge called none before")
    elif row.retention < _LOWEST_RETENTION:
        found.append(f"it keeps {row.retention:.0%} of {row.called} lesions, less than 95 %")
    return found


def _no_better_than_its_start(row: Row, tone_map: Row, tone_floor: float) -> list[str]:
    """Where a method does not show more than the closed-form tone map."""
    found = []
    if row.tone > tone_map.tone + tone_floor:
        found.append(
            f"its distance in ITA ({row.tone:.1f}°) is beyond that of the closed-form tone map "
            f"({tone_map.tone:.1f}°) by more than chance makes ({tone_floor:.1f}°)"
        )
    gains = [
        (name, gain)
        for name, gain in (("KID", row.kid_gain), ("texture", row.texture_gain))
        if gain is not None
    ]
    nearer, further = (
        any(getattr(gain, way) for _, gain in gains) for way in ("is_nearer", "is_further")
    )
    if further or not nearer:
        values = ", ".join(f"{name} {g.value:+.4f} ± {g.error:.4f}" for name, g in gains)
        found.append(
            "it is not shown to be nearer to the target than the closed-form tone map where it starts "
            f"(gain in {values or 'KID and texture unknown'})"
        )
    return found


def _figures(row: Row, transfers: Sequence[Row]) -> str:
    tone, kid = min(transfers, key=lambda r: r.tone), min(transfers, key=_kid)
    kept = "no lesion was called before"
    if row.retention is not None:
        kept = f"{row.retention:.0%} of {row.called} lesions are kept"
    values = "KID unknown" if row.kid is None else f"KID {row.kid:.4f}"
    best = "" if kid.kid is None else f" (best tone transfer {kid.method}: {kid.kid:.4f})"
    return (
        f"ITA is {row.tone:.1f}° from the target (best tone transfer {tone.method}: "
        f"{tone.tone:.1f}°), {values}{best}, {kept}"
    )
