"""How far one property of images tells another: a class's source, or whether it is synthetic."""

from collections.abc import Sequence

import numpy as np


def association(pairs: Sequence[tuple[str, str]]) -> float:
    """Bias-corrected Cramér's V.

    Bergsma 2013 (J. Korean Statistical Society 42): without the correction a few images alone
    give a large value.

    Args:
        pairs: both properties of each image, such as source and class.

    Returns:
        0 (tells nothing) to 1 (tells all); 0 where a property has one value only.
    """
    first = sorted({one for one, _ in pairs})
    second = sorted({other for _, other in pairs})
    if min(len(first), len(second)) < 2:
        return 0.0
    table = np.zeros((len(first), len(second)))
    for one, other in pairs:
        table[first.index(one), second.index(other)] += 1
    count = table.sum()
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / count
    phi = ((table - expected) ** 2 / expected).sum() / count
    rows, columns = len(first), len(second)
    corrected = max(0.0, phi - (rows - 1) * (columns - 1) / (count - 1))
    narrow = min(
        rows - (rows - 1) ** 2 / (count - 1) - 1, columns - (columns - 1) ** 2 / (count - 1) - 1
    )
    return float(np.sqrt(min(1.0, corrected / narrow))) if narrow > 0 else 0.0
