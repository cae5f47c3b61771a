"""Snapshots: what a run shows and judges of its generator now and then, and what it keeps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from hzsynth.core.devices import Compute
from hzsynth.core.run import RunDir
from hzsynth.gan.config import GanConfig
from hzsynth.gan.evaluation import SampleJudge, classes_in_shares, pixel_diversity
from hzsynth.gan.interfaces import GeneratorNetwork
from hzsynth.gan.moments import Moment, MomentChoice
from hzsynth.gan.photographs import Photographs
from hzsynth.gan.real_views import LearnedImages
from hzsynth.gan.snapshot_files import write_curves, write_sheet
from hzsynth.gan.trained_generator import TrainedGenerator
from hzsynth.score.extractors import create_extractor

Score = Callable[[torch.Tensor], Mapping[str, float]]
"""Scores samples: uint8 N x 3 x H x W -> name -> value."""


@dataclass(frozen=True)
class Snapshot:
    """What a snapshot showed.

    Attributes:
        values: the figures of the moment.
        best: whether the moment is the best so far (always without watching).
        alarms: sentences for the user.
    """

    values: dict[str, float]
    best: bool
    alarms: tuple[str, ...]


class Snapshots:
    """Takes and judges the snapshots of a run.

    Args:
        photographs: of the run.
        learned: what the generator learns from.
        config: the run's settings.
        run: where sheets, figures and curves go.
        compute: where samples and features are computed.
        score: called with the samples; its values go to the metrics. None for none.

    Attributes:
        choice: the moments so far, which of them to keep and whether to stop.
    """

    def __init__(
        self,
        photographs: Photographs,
        learned: LearnedImages,
        config: GanConfig,
        run: RunDir,
        *,
        compute: Compute,
        score: Score | None = None,
    ) -> None:
        self._config, self._run, self._compute, self._score = config, run, compute, score
        self._pixels = learned.pixels
        self._labels = photographs.labels
        self._classes: list[int] | None = None
        if learned.classes is not None:
            counts = learned.classes.bincount(minlength=learned.class_count)
            self._classes = classes_in_shares(counts.tolist(), config.snapshot_samples)
        self.choice = MomentChoice(config.most_copies, config.patience)
        self._judge: SampleJudge | None = None
        if config.watch and len(learned.pixels) > 1:
            held_out = photographs.held_out
            self._judge = SampleJudge(
                learned.pixels,
                [record.patient for record in photographs.train],
                photographs.pixels(held_out, config.resolution),
                [record.patient for record in held_out],
                create_extractor(config.watch_features, compute=compute),
            )

    def __call__(self, step: int, network: GeneratorNetwork) -> Snapshot:
        """Judges a generator in evaluation mode; writes its sheet, figures and curves."""
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
            return Snapshot(values, True, ())
        moment = Moment(
            step,
            values["kid"],
            values["kid_error"],
            values["kid_error_of_samples"],
            values["copies"],
            values.get("diversity", 1.0),
        )
        best = self.choice.add(moment)
        alarms = self.choice.alarms(moment)
        if alarms:
            self._run.log(step, alarms="; ".join(alarms))
        assert self.choice.best is not None  # a moment was added
        write_curves(
            self._run, self.choice.best.step, self._config.most_copies, self._judge.reference
        )
        return Snapshot(values, best, alarms)
