"""What belongs together when pairs do."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def connected(count: int, pairs: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """Numbers the connected components of `count` items that are joined by pairs.

    Args:
        count: number of items.
        pairs: indices of items that belong together.

    Returns:
        The component of each item; components are numbered in the order of their first item.
    """
    rows = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(rows), np.int8), (rows[:, 0], rows[:, 1])), (count, count))
    _, component = connected_components(graph, directed=False)
    _, first, number = np.unique(component, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    result: NDArray[np.int64] = order[number].astype(np.int64)
    return result
