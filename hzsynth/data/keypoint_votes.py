"""Photographs that share keypoints, found by votes: how a crop and its original meet.

Every keypoint is written as a visual word and 64 signs (Hamming embedding, Jégou, Douze and Schmid
2008, ECCV). Points of equal word and near signs vote for their two pictures, for each of the
eight orientations apart; a point that is everywhere, as in an archive's logo, has no vote.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hzsynth.data.appearance import DESCRIPTOR, Appearance
from hzsynth.data.registration import mirrored, quarter_turns

_A_WORD, _MOST_WORDS = 96, 2048
_SAMPLE, _ROUNDS = 30_000, 6
_NEAR_SIGNS = 14
_FAMOUS = 40
_PARTNERS = 12
_FEWEST_VOTES = 3

Integers = NDArray[np.int64]


def voted_pairs(appearances: Sequence[Appearance], seed: int = 0) -> Integers:
    """Pairs of photographs that share keypoints, as crops of one photograph do.

    Args:
        appearances: N, with keypoints.
        seed: of the vocabulary, which is learned from the keypoints themselves.

    Returns:
        P x 2 indices with first < second, the pairs with most votes first; every photograph meets
        the twelve that share most with it.
    """
    counts = [len(look.points) for look in appearances]
    owner = np.repeat(np.arange(len(appearances)), counts)
    if len(owner) < 2:
        return np.empty((0, 2), np.int64)
    points = np.concatenate([look.points for look in appearances])
    descriptors = np.concatenate([look.descriptors for look in appearances])
    vocabulary = _Vocabulary(descriptors, np.random.default_rng(seed))
    words, signs = vocabulary.write(descriptors, 1)
    order = np.argsort(words[:, 0], kind="stable")
    starts = np.searchsorted(words[order, 0], np.arange(vocabulary.size + 1))
    ballots: list[NDArray[np.int64]] = []
    for mirror in (False, True):
        asked, asked_signs = vocabulary.write(descriptors, 2, mirror)
        for matches in _matches(asked, asked_signs, order, starts, signs, owner):
            ballots.append(_ballots(matches, points, owner, mirror, len(appearances)))
    return _elected(np.concatenate(ballots), len(appearances))


class _Vocabulary:
    """Visual words and the signs within: both from the collection's own descriptors."""

    def __init__(self, descriptors: NDArray[np.uint8], rng: np.random.Generator) -> None:
        chosen = rng.permutation(len(descriptors))[:_SAMPLE]
        sample = descriptors[np.sort(chosen)].astype(np.float32) / np.float32(512)
        self.size = int(np.clip(len(descriptors) // _A_WORD, 1, _MOST_WORDS))
        self.size = min(self.size, len(sample))
        self._words = sample[rng.permutation(len(sample))[: self.size]]
        for _ in range(_ROUNDS):
            nearest = self._nearest(sample, 1)[:, 0]
            total = np.zeros_like(self._words)
            np.add.at(total, nearest, sample)
            length = np.linalg.norm(total, axis=1, keepdims=True)
            self._words = np.where(length > 0, total / np.maximum(length, 1e-9), self._words)
        directions, _ = np.linalg.qr(rng.standard_normal((DESCRIPTOR, DESCRIPTOR)))
        self._directions = directions[:, :64].astype(np.float32)
        self._middle = np.median(sample @ self._directions, axis=0)

    def _nearest(self, rows: NDArray[np.float32], count: int) -> Integers:
        similarity = rows @ self._words.T
        best: Integers = similarity.argmax(axis=1)
        if count == 1 or self.size == 1:
            return best[:, None]
        similarity[np.arange(len(rows)), best] = -np.inf
        return np.stack([best, similarity.argmax(axis=1)], axis=1)

    def write(
        self, descriptors: NDArray[np.uint8], count: int, mirror: bool = False
    ) -> tuple[Integers, NDArray[np.uint64]]:
        """The nearest words (N x count) and the 64 signs (N) of descriptors, or of their mirror."""
        words, signs = [], []
        for start in range(0, len(descriptors), 8192):
            part = descriptors[start : start + 8192]
            rows = (mirrored(part) if mirror else part).astype(np.float32) / np.float32(512)
            words.append(self._nearest(rows, count))
            table = rows @ self._directions > self._middle
            signs.append(np.packbits(table, axis=1).view(np.uint64)[:, 0])
        return np.concatenate(words), np.concatenate(signs)


def _matches(
    asked: Integers,
    asked_signs: NDArray[np.uint64],
    order: Integers,
    starts: Integers,
    signs: NDArray[np.uint64],
    owner: Integers,
) -> Iterator[Integers]:
    """Pairs of keypoints (asked, found) of equal word and near signs, in different pictures."""
    rows = np.tile(np.arange(len(asked)), asked.shape[1])
    words = asked.T.ravel()
    by_word = np.argsort(words, kind="stable")
    edges = np.searchsorted(words[by_word], np.arange(len(starts)))
    for word in range(len(starts) - 1):
        members = order[starts[word] : starts[word + 1]]
        for low in range(edges[word], edges[word + 1], 2048):
            questions = rows[by_word[low : min(low + 2048, edges[word + 1])]]
            near = (
                np.bitwise_count(asked_signs[questions][:, None] ^ signs[members][None])
                <= _NEAR_SIGNS
            )
            # What is in every picture tells none from another.
            near &= (near.sum(axis=1) <= _FAMOUS)[:, None]
            q, m = np.nonzero(near)
            pair = np.stack([questions[q], members[m]], axis=1)
            yield pair[owner[pair[:, 0]] != owner[pair[:, 1]]]


def _ballots(
    matches: Integers,
    points: NDArray[np.float32],
    owner: Integers,
    mirror: bool,
    count: int,
) -> Integers:
    """One number for pair and orientation of every match whose directions and sizes allow it."""
    own, other = points[matches[:, 0]], points[matches[:, 1]]
    quarter = quarter_turns(own[:, 2], other[:, 2], mirror)
    ratio = own[:, 3] / other[:, 3]
    fits = (quarter >= 0) & (ratio > 0.4) & (ratio < 2.5)
    first, second = owner[matches[fits, 0]], owner[matches[fits, 1]]
    quarter = quarter[fits]
    # Asked from the other side, a turn goes the other way round; a mirrored one is its own inverse.
    quarter = np.where((first > second) & (not mirror), -quarter % 4, quarter)
    low, high = np.minimum(first, second), np.maximum(first, second)
    ballots: Integers = (low * count + high) * 8 + quarter + 4 * mirror
    return ballots


def _elected(ballots: Integers, count: int) -> Integers:
    choices, votes = np.unique(ballots, return_counts=True)
    enough = votes >= _FEWEST_VOTES
    pairs, votes = choices[enough] // 8, votes[enough]
    order = np.lexsort((pairs, -votes))
    _, first = np.unique(pairs[order], return_index=True)
    pairs = pairs[order][np.sort(first)]
    chosen, partners = [], np.zeros(count, np.int64)
    for pair in pairs.tolist():
        a, b = divmod(pair, count)
        if min(partners[a], partners[b]) < _PARTNERS:
            partners[a] += 1
            partners[b] += 1
            chosen.append((a, b))
    return np.array(chosen, np.int64).reshape(-1, 2)
