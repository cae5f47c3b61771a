"""What a figure says at its number of images, and what it cannot say, in a sentence."""

import math

_ABOUT_ONE_SET = ("vendi", "is")
_EXTRAPOLATED = ("fid-infinity", "frechet-infinity")
_BIASED = ("fid", "frechet")
NEED_CONDITIONS = (*_BIASED, *_EXTRAPOLATED, "is")
"""Figures that mean nothing without number of images, resize and weights beside them."""


def explain(
    kind: str,
    *,
    value: float,
    floor: float | None,
    floor_spread: float | None,
    beyond_floor: bool | None,
    n: int,
    n_floor: int,
    dim: int,
) -> str:
    """Explains a figure.

    Args:
        kind: the metric without its features, such as ``kid``.
        value: the figure.
        floor: the same figure of photographs; None where there are too few.
        floor_spread: its standard deviation.
        beyond_floor: whether the figure is worse than the floor by more than chance explains.
        n: images in the smaller set.
        n_floor: photographs in each part of the floor.
        dim: dimensions of the features.

    Returns:
        Some clauses without a full stop.
    """
    note = _note(kind, value, n, dim)
    if floor is None or floor_spread is None or beyond_floor is None:
        return f"there are too few real images to say what real against real would give{note}"
    compared = (
        f"{n_floor} real images alone give"
        if kind in _ABOUT_ONE_SET
        else f"two random parts of {n_floor} real images give"
    )
    verdict = _verdict(kind, beyond_floor)
    spread = f" ± {floor_spread:.3g}" if floor_spread > 1e-9 * abs(floor) else ""
    return f"{compared} {floor:.4g}{spread}: {verdict}{note}"


def _verdict(kind: str, beyond_floor: bool) -> str:
    if kind in _ABOUT_ONE_SET:
        return (
            "the generated set is less varied than as many photographs"
            if beyond_floor
            else "the generated set is not clearly less varied than as many photographs"
        )
    if beyond_floor:
        return "the sets differ by more than chance explains"
    return "at this number of images the sets cannot be told apart by it, which is no proof of equality"


def _note(kind: str, value: float, n: int, dim: int) -> str:
    share = f"{value:.0%}"
    if kind in _BIASED:
        many = (
            f". With {n} images in {dim} dimensions it measures their number more than their look"
            if n < 2 * dim
            else ""
        )
        return f"{many}. It falls as images are added: compare it only at equal numbers"
    notes = {
        "kid": f". It is unbiased: values about 0 mean no difference that {n} images can show",
        "precision": f". {share} of the generated images lie where photographs do",
        "recall": (
            f". {share} of the photographs lie where generated images do: the generator misses "
            f"the rest, or {n} images are too few to reach it"
        ),
        "density": (
            ". 1 is expected of a perfect generator; above 1 it crowds where photographs are dense"
        ),
        "coverage": f". {share} of the photographs have a generated image in their neighbourhood",
        "vendi": (
            f". The set counts as {value:.1f} entirely different images, measured on {n}; blurred or "
            "wrong images may be varied, too"
        ),
        "is": (
            ". It never looks at the photographs: it rewards images that Inception takes for clearly "
            "different ImageNet classes, none of which is a skin disease, and sees neither copies nor "
            "wrong lesions; it grows with the number of images"
        ),
        "tone-distance": f". The tone of an image has to move by {value:.1f} degrees on average",
    }
    if kind in _EXTRAPOLATED:
        below = " It came out below 0, which means 0 within its error." if value < 0 else ""
        return (
            f". It is what the line through the subsets gives for infinitely many images.{below} Its "
            "error does not hold what other photographs would have given"
        )
    return notes.get(kind, "") if math.isfinite(value) else ""
