"""Knowledge distillation from an ensemble along a curriculum: the parts of KDE-CT.

KDE-CT (Back et al. 2021, IEEE Access 9, DOI 10.1109/ACCESS.2021.3054403) as re-implemented
from the published description; the loss is that of Hinton et al. 2015 (arXiv 1503.02531).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from hzsynth.classify.models import Triple, normalise, to_unit
from hzsynth.classify.train.batches import Batch, BatchSource
from hzsynth.classify.train.corruptions import corrupt
from hzsynth.classify.train.fitting import predict_logits
from hzsynth.core.devices import Compute
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.seeding import torch_generator

TeacherOrder = Literal["weak-to-strong", "strong-to-weak", "all-at-once"]
InputNoise = Literal["none", "ramp", "constant"]
TeacherView = Literal["clean", "noisy"]


def ensemble_probabilities(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """The mean of the teachers' softmax at a temperature.

    Args:
        logits: T x N x C, one slice a teacher.
        temperature: at least 1 softens, 1 is the plain softmax.

    Returns:
        N x C, every row sums to 1.
    """
    return (logits / temperature).softmax(dim=2).mean(dim=0)


def distillation_loss(
    student: torch.Tensor,
    targets: torch.Tensor,
    teachers: torch.Tensor,
    *,
    alpha: float,
    temperature: float,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """L = (1 - a) CE(y, s) + a T^2 KL(p_T || p_S).

    Args:
        student: N x C logits.
        targets: int64 N, the true classes; or float32 N x C, their shares.
        teachers: N x C probabilities p_T at the temperature (see `ensemble_probabilities`).
        alpha: a in [0, 1], the share of the teachers.
        temperature: T.
        weights: C, of the classes in the cross-entropy.

    Returns:
        The mean over the batch; T^2 keeps the gradients' scale independent of T.
    """
    supervised = functional.cross_entropy(student, targets, weight=weights)
    logarithm = (student / temperature).log_softmax(dim=1)
    divergence = functional.kl_div(logarithm, teachers, reduction="batchmean")
    return (1 - alpha) * supervised + alpha * temperature**2 * divergence


def curriculum(weak_to_strong: Sequence[str], order: TeacherOrder) -> tuple[tuple[str, ...], ...]:
    """The teachers of every stage; the first stage has none (cross-entropy alone).

    Args:
        weak_to_strong: the teachers by their validation score, the weakest first.
        order: weak-to-strong adds the next stronger teacher at every stage, strong-to-weak the
            next weaker one, all-at-once has a single stage with all.

    Returns:
        The stages.
    """
    if order == "all-at-once":
        return (), tuple(weak_to_strong)
    line = tuple(weak_to_strong)
    if order == "strong-to-weak":
        line = line[::-1]
    return tuple(line[:count] for count in range(len(line) + 1))


def corruption_strength(step: int, steps: int, noise: InputNoise, strongest: float) -> float:
    """How strongly the student's input is corrupted at most.

    Args:
        step: 0 to steps - 1 over all stages of the student.
        steps: of all stages.
        noise: none; ramp, linear from clean at the first step; or constant.
        strongest: strength at the last step, in [0, 1].

    Returns:
        The strength in [0, strongest].
    """
    if noise == "none":
        return 0.0
    if noise == "constant":
        return strongest
    return strongest * step / max(1, steps - 1)


@dataclass(frozen=True)
class Teacher:
    """A trained teacher.

    Attributes:
        name: its architecture.
        network: on the device, in evaluation mode.
        normalisation: mean and standard deviation of its input.
    """

    name: str
    network: nn.Module
    normalisation: tuple[Triple, Triple]


class TeacherAnswers:
    """What the teachers say about the views of a batch.

    With clean views an image is seen as it is or mirrored: these logits are computed once and
    looked up. Images that were augmented for this batch, and noisy views, are answered anew.

    Args:
        teachers: in any order.
        pixels: uint8 N x 3 x H x W, the training images.
        mirrored: whether mirrored views occur.
        view: clean or noisy.
        compute: device and precision.
        processes: that train together: each asks about a part of the images and tells the others.
    """

    def __init__(
        self,
        teachers: Sequence[Teacher],
        pixels: torch.Tensor,
        *,
        mirrored: bool,
        view: TeacherView,
        compute: Compute,
        processes: Processes = ALONE,
    ) -> None:
        self._processes = processes
        self._teachers: Mapping[str, Teacher] = {t.name: t for t in teachers}
        self._pixels, self._mirrored = pixels, mirrored
        self._view, self._compute = view, compute
        self._clean: dict[str, torch.Tensor] = {}

    def __call__(self, names: Sequence[str], batch: Batch, noisy: torch.Tensor) -> torch.Tensor:
        """Logits of some teachers.

        Args:
            names: the teachers to ask.
            batch: whose views are asked about.
            noisy: the student's view of the batch, B x 3 x H x W in [0, 1].

        Returns:
            float32 T x B x C on the device.
        """
        if self._view == "clean":
            return torch.stack([self._clean_answer(name, batch) for name in names])
        with torch.no_grad(), self._compute.autocast():
            answers = [
                t.network(normalise(noisy, *t.normalisation)).float()
                for t in (self._teachers[name] for name in names)
            ]
        return torch.stack(answers)

    def _clean_answer(self, name: str, batch: Batch) -> torch.Tensor:
        """B x C."""
        logits = self._table(name)[batch.flipped.long(), batch.indices]
        if batch.varied.any():
            teacher = self._teachers[name]
            logits[batch.varied] = predict_logits(
                teacher.network, batch.pixels[batch.varied], teacher.normalisation, self._compute
            )
        return logits.to(self._compute.device)

    def _table(self, name: str) -> torch.Tensor:
        """2 x N x C: the plain and the mirrored view of every image."""
        if name not in self._clean:
            teacher = self._teachers[name]
            views = [self._pixels, self._pixels.flip(3)] if self._mirrored else [self._pixels]
            self._clean[name] = torch.stack([self._asked(teacher, view) for view in views])
        return self._clean[name]

    def _asked(self, teacher: Teacher, pixels: torch.Tensor) -> torch.Tensor:
        """N x C; every process asks about the same number of images, the last ones maybe twice."""
        count, number = self._processes.count, self._processes.number
        each = -(-len(pixels) // count)
        rows = torch.arange(number * each, (number + 1) * each).clamp_max(len(pixels) - 1)
        part = pixels if count == 1 else pixels[rows]
        logits = predict_logits(teacher.network, part, teacher.normalisation, self._compute)
        return self._processes.gathered(logits.to(self._compute.device)).cpu()[: len(pixels)]


class StudentLoss:
    """The loss of one stage of the curriculum: cross-entropy, or with teachers distillation.

    Args:
        network: the student.
        names: the stage's teachers, possibly none.
        answers: what they say.
        batches: by step.
        strength: largest corruption strength of a step.
        alpha: share of the teachers in the loss.
        temperature: of the distillation.
        weights: float C, of the classes.
        normalisation: mean and standard deviation of the student's input.
        seed: root of the corruptions.
        compute: device and precision.
    """

    def __init__(
        self,
        network: nn.Module,
        names: Sequence[str],
        answers: TeacherAnswers,
        batches: BatchSource,
        strength: "Strength",
        *,
        alpha: float,
        temperature: float,
        weights: torch.Tensor,
        normalisation: tuple[Triple, Triple],
        seed: int,
        compute: Compute,
    ) -> None:
        self._network, self._names, self._answers = network, tuple(names), answers
        self._batches, self._strength = batches, strength
        self._alpha, self._temperature = alpha, temperature
        self._weights = weights.to(compute.device)
        self._mean, self._std = normalisation
        self._seed, self._compute = seed, compute

    def __call__(self, step: int) -> torch.Tensor:
        """The loss at a step."""
        batch = self._batches[step]
        generator = torch_generator(self._seed, "classify", "corruption", step)
        unit = to_unit(batch.pixels, self._compute)
        view = corrupt(unit, self._strength(step), generator)
        with self._compute.autocast():
            logits = self._network(normalise(view, self._mean, self._std)).float()
        targets = batch.targets.to(self._compute.device)
        if not self._names:
            return functional.cross_entropy(logits, targets, weight=self._weights)
        answers = self._answers(self._names, batch, view)
        return distillation_loss(
            logits,
            targets,
            ensemble_probabilities(answers, self._temperature),
            alpha=self._alpha,
            temperature=self._temperature,
            weights=self._weights,
        )


@dataclass(frozen=True)
class Strength:
    """Corruption strength by step (see `corruption_strength`)."""

    steps: int
    noise: InputNoise
    strongest: float

    def __call__(self, step: int) -> float:
        """The largest strength at a step."""
        return corruption_strength(step, self.steps, self.noise, self.strongest)
