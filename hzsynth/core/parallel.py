"""Work on many images by several processes, in order and without holding them all in memory."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from joblib import Parallel, delayed

Item = TypeVar("Item")
Result = TypeVar("Result")

WORTHWHILE = 256
"""Items below which the start of further processes costs more than it saves."""


def available_workers() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def parallel_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int = 0,
    *,
    at_once: int = 16,
) -> Iterator[Result]:
    """Applies a function to every item, by several processes when there are many.

    Args:
        function: importable by name, or a partial of such a function; no state is shared.
        items: each small enough to be sent to another process.
        workers: processes; 0 takes every available processor, 1 works in this process.
        at_once: items sent to a process together.

    Yields:
        The results in the order of the items; only a few are ahead of the reader.
    """
    count = min(workers or available_workers(), max(1, len(items) // at_once))
    if count == 1 or len(items) < WORTHWHILE:
        yield from map(function, items)
        return
    parallel = Parallel(n_jobs=count, batch_size=1, pre_dispatch=4 * count, return_as="generator")
    groups = (items[start : start + at_once] for start in range(0, len(items), at_once))
    for results in parallel(delayed(_each)(function, group) for group in groups):
        yield from results


def _each(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    return [function(item) for item in items]
