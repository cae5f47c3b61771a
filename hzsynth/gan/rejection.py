"""Images that a generator should not give away: near-copies of what it learned from, and misshapen ones.

A near-copy is what the run's own watch calls one (see `evaluation.CopyRule`); plausible is what improved
precision counts (see `score.selection.plausible`). Both compare with the photographs that the run
learned from and look at no other, so that no held-out photograph chooses what is generated.
"""

from typing import Literal, cast, get_args

import torch

from hzsynth.core.devices import CPU_FP32, Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.data.loading import load_pixels
from hzsynth.gan.evaluation import CopyRule
from hzsynth.gan.generator_files import read_generator
from hzsynth.score.extractors import create_extractor
from hzsynth.score.selection import plausible

Reject = Literal["none", "copies", "implausible", "both"]

FEWEST_PHOTOGRAPHS = 5
"""With fewer there are no neighbourhoods to compare with."""


def checked_reject(how: str) -> Reject:
    """Raises InputError unless it is one of the ways to reject."""
    for known in get_args(Reject):
        if how == known:
            return cast(Reject, known)
    raise InputError(f"`reject` is one of {', '.join(get_args(Reject))}, not '{how}'")


class Rejection:
    """Judges generated images one by one.

    Args:
        run: a finished GAN run.
        against: a set that holds the photographs that the run learned from.
        reject: what is rejected.
        compute: where features are computed.

    Attributes:
        copies: images called near-copies so far.
        implausible: images outside all photographs' neighbourhoods so far.

    Raises:
        InputError: the run has no generator; the set lacks the run's photographs, or they are too few
            to compare with.
    """

    def __init__(
        self, run: RunDir, against: ImageSet, reject: Reject, compute: Compute = CPU_FP32
    ) -> None:
        network, config, labels = read_generator(run)
        learned = {i.sha256 for i in run.training_images() if i.role in ("learned", "inherited")}
        records = [r for r in against if r.sha256 in learned]
        if len({r.sha256 for r in records}) < len(learned):
            raise InputError(
                f"`against` '{against.root}' holds {len(records)} of the {len(learned)} photographs that "
                f"'{run.path}' learned from: name the set that it was trained on"
            )
        if len(records) < FEWEST_PHOTOGRAPHS:
            raise InputError(
                f"`reject` compares with the photographs learned from: there are {len(records)}, and "
                f"{FEWEST_PHOTOGRAPHS} are needed"
            )
        photographs = against.replace_records(records)
        self._extractor = create_extractor(config.watch_features, compute=compute)
        self._train = self._extractor(load_pixels(photographs, network.resolution))
        groups = [record.patient for record in records]
        self._rule = CopyRule(self._train, groups, self._train, groups)
        self._reject = reject
        # A generator of all classes at once has one label that no photograph has.
        self._rows = [
            torch.tensor([r.label == label or label not in against.labels for r in records])
            for label in labels
        ]
        few = [
            n for n, rows in zip(labels, self._rows, strict=True) if rows.sum() < FEWEST_PHOTOGRAPHS
        ]
        if few and reject != "copies":
            raise InputError(
                f"`reject` {reject} compares with the photographs of each class: of '{few[0]}' there are "
                f"fewer than {FEWEST_PHOTOGRAPHS}"
            )
        self.copies = self.implausible = 0

    def __call__(self, pixels: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Which images may stay.

        Args:
            pixels: uint8 N x 3 x H x W.
            classes: int64 N.

        Returns:
            bool N.
        """
        # One image at a time: a larger batch could round differently, and decide differently.
        found = torch.cat([self._extractor(image[None]) for image in pixels])
        kept = torch.ones(len(pixels), dtype=torch.bool)
        if self._reject in ("copies", "both"):
            copied = self._rule(found)[1]
            self.copies += int(copied.sum())
            kept &= ~copied
        if self._reject in ("implausible", "both"):
            for number in classes.unique().tolist():
                own = classes == number
                odd = ~plausible(found[own], self._train[self._rows[number]])
                self.implausible += int(odd.sum())
                kept[own] &= ~odd
        return kept
