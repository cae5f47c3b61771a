"""The features of a set: decoded by threads, computed once, kept for the next time."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hzsynth.core.image_record import ImageRecord
from hzsynth.core.image_set import ImageSet
from hzsynth.core.parallel import available_workers
from hzsynth.core.photos import decode_image, square
from hzsynth.core.progress import SILENT, Progress
from hzsynth.score.extractors import BATCH, FeatureExtractor
from hzsynth.score.feature_cache import FeatureCache

_AHEAD = 4 * BATCH
_KEPT_AT_ONCE = 32 * BATCH

Opened = tuple[str, NDArray[np.uint8] | torch.Tensor]
"""An image's sha256, and its features where they are known, else its pixels."""


def open_cache(folder: Path | None, extractor: FeatureExtractor, size: int) -> FeatureCache:
    """The features that are known of images at this size (see `FeatureCache`).

    Args:
        folder: the cache's folder; None keeps features in memory only.
        extractor: what computes them.
        size: side in pixels to which each image is brought.

    Returns:
        The cache, to be shared by the sets of one command.
    """
    space = (extractor.name, extractor.weights, extractor.preprocessing, f"square {size} px")
    return FeatureCache(folder, space, extractor.dim)


def extract_features(
    images: ImageSet,
    extractor: FeatureExtractor,
    *,
    size: int,
    progress: Progress = SILENT,
    cache: FeatureCache | None = None,
) -> torch.Tensor:
    """Computes the features of a set, taking from the cache what it knows.

    Args:
        images: the set.
        extractor: what computes them.
        size: side in pixels to which each image is brought (centre square) beforehand.
        progress: where to report.
        cache: from `open_cache` for this extractor and size; None: nothing is kept.

    Returns:
        float32 N x D, in the order of the records.

    Raises:
        InputError: an image cannot be read.
    """
    known = open_cache(None, extractor, size) if cache is None else cache
    features = _Features(len(images), extractor, known)

    def open_image(record: ImageRecord) -> Opened:
        data = images.read_bytes(record)
        # Of the bytes and not the table's: a file that was changed since is computed anew.
        sha256 = hashlib.sha256(data).hexdigest()
        found = known.get(sha256)
        if found is not None:
            return sha256, found
        return sha256, square(decode_image(data, str(images.path(record))), size)

    with progress.task(f"{extractor.name} features", total=len(images), unit="img") as task:
        for row, opened in enumerate(_opened_ahead(open_image, images.records)):
            features.add(row, opened)
            task.advance(1)
        features.keep()
    return features.rows


class _Features:
    """The features of a set as they come: known ones at once, the others batch by batch.

    Args:
        count: images.
        extractor: what computes them.
        known: the cache, to which new ones are added.

    Attributes:
        rows: float32 N x D.
    """

    def __init__(self, count: int, extractor: FeatureExtractor, known: FeatureCache) -> None:
        self.rows = torch.empty(count, extractor.dim)
        self._extractor = extractor
        self._known = known
        self._new: list[int] = []
        self._names: list[str] = []
        self._waiting: list[NDArray[np.uint8]] = []

    def add(self, row: int, opened: Opened) -> None:
        """Takes an image, in the order of the set."""
        sha256, content = opened
        if isinstance(content, torch.Tensor):
            self.rows[row] = content
            return
        self._new.append(row)
        self._names.append(sha256)
        self._waiting.append(content)
        if len(self._waiting) == BATCH:
            self._compute()
        if len(self._new) >= _KEPT_AT_ONCE:
            self.keep()

    def keep(self) -> None:
        """Computes what waits, and hands all new features to the cache."""
        self._compute()
        self._known.add(self._names, self.rows[self._new])
        self._new.clear()
        self._names.clear()

    def _compute(self) -> None:
        if self._waiting:
            self.rows[self._new[-len(self._waiting) :]] = self._extractor(_stacked(self._waiting))
            self._waiting.clear()


def _stacked(pictures: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
    """H x W x 3 pictures as N x 3 x H x W, channels last in memory, as networks are fastest."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def _opened_ahead(
    function: Callable[[ImageRecord], Opened], records: Sequence[ImageRecord]
) -> Iterator[Opened]:
    """Opens images by threads, some batches ahead of the network and in order.

    Threads and not processes: Pillow decodes and resizes, and hashlib hashes, without holding
    the interpreter's lock.
    """
    waiting: deque[Future[Opened]] = deque()
    with ThreadPoolExecutor(available_workers()) as threads:
        try:
            for record in records:
                waiting.append(threads.submit(function, record))
                if len(waiting) >= _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
