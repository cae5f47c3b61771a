"""The look that a run takes at its generator now and then: samples, figures, what to keep."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hzsynth.core.devices import Compute
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir
from hzsynth.gan.config import GanConfig
from hzsynth.gan.evaluation import SampleJudge
from hzsynth.gan.networks import GeneratorNetwork
from hzsynth.gan.photographs import Photographs
from hzsynth.gan.sampling import TrainedGenerator
from hzsynth.gan.selection import Moment, Selection
from hzsynth.gan.snapshots import (
    Score,
    classes_in_shares,
    pixel_diversity,
    write_curves,
    write_sheet,
)
from hzsynth.score.extractors import create_extractor


@dataclass(frozen=True)
class Look:
    """What a look found.

    Attributes:
        values: the figures of the moment.
        best: whether the moment is the best so far (always without watching).
        alarms: sentences for the user.
    """

    values: dict[str, float]
    best: bool
    alarms: tuple[str, ...]


class Watch:
    """Looks at the generator of a run.

    Args:
        photographs: of the run.
        pixels: the training images, uint8 N x 3 x S x S.
        config: the run's settings.
        run: where sheets, figures and curves go.
        told: whether the generator is told the class.
        compute: where samples and features are computed.
        score: called with the samples; its values go to the metrics. None for none.

    Attributes:
        selection: the moments so far.
    """

    def __init__(
        self,
        photographs: Photographs,
        pixels: torch.Tensor,
        config: GanConfig,
        run: RunDir,
        *,
        told: bool,
        compute: Compute,
        score: Score | None = None,
    ) -> None:
        self._config, self._run, self._compute, self._score = config, run, compute, score
        self._pixels = pixels
        self._labels = photographs.labels
        counts = photographs.classes(photographs.train).bincount(minlength=len(self._labels))
        self._classes = (
            classes_in_shares(counts.tolist(), config.snapshot_samples) if told else None
        )
        self.selection = Selection(config.most_copies, config.patience)
        self._judge: SampleJudge | None = None
        if config.watch and len(pixels) > 1:
            held_out = photographs.held_out
            self._judge = SampleJudge(
                pixels,
                _patients(photographs.train),
                photographs.pixels(held_out, config.resolution),
                _patients(held_out),
                create_extractor(config.watch_features, compute=compute),
            )

    def __call__(self, step: int, network: GeneratorNetwork) -> Look:
        """Looks at a generator in evaluation mode; writes its sheet, figures and curves."""
        samples = TrainedGenerator(network, self._compute).sample(
            range(self._config.snapshot_samples), self._classes
        )
        captions = None if self._classes is None else [self._labels[c] for c in self._classes]
        write_sheet(self._run, step, samples, captions)
        if self._judge is None:
            values = pixel_diversity(samples, self._pixels)
        else:
            values = self._judge(samples)
        if self._score is not None:
            values |= {name: float(value) for name, value in self._score(samples).items()}
        if values:
            self._run.log(step, **values)
        if self._judge is None:
            return Look(values, True, ())
        moment = Moment(
            step,
            values["kid"],
            values["kid_error"],
            values["copies"],
            values.get("diversity", 1.0),
        )
        best = self.selection.add(moment)
        alarms = self.selection.alarms(moment)
        if alarms:
            self._run.log(step, alarms="; ".join(alarms))
        assert self.selection.best is not None  # a moment was added
        write_curves(
            self._run, self.selection.best.step, self._config.most_copies, self._judge.reference
        )
        return Look(values, best, alarms)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return self.selection.state()

    def load(self, state: dict[str, Any]) -> None:
        """Takes up a checkpoint's state."""
        self.selection.load(state)


def _patients(images: ImageSet) -> Sequence[str]:
    """The patient of every image; an image without one is its own."""
    return [f"patient {r.group}" if r.group else f"image {r.sha256}" for r in images]
