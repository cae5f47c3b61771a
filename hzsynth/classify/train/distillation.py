"""Knowledge distillation from an ensemble along a curriculum: the parts of KDE-CT.

KDE-CT (Back et al. 2021, IEEE Access 9, DOI 10.1109/ACCESS.2021.3054403) as re-implemented
from the published description; the loss is that of Hinton et al. 2015 (arXiv 1503.02531).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from hzsynth.classify.models import PixelNetwork, to_unit
from hzsynth.classify.train.batches import Batch, BatchSource
from hzsynth.classify.train.config import InputNoise, TeacherOrder, TeacherView
from hzsynth.classify.train.corruptions import corrupt
from hzsynth.classify.train.objective import LOSS, Losses
from hzsynth.core.devices import Compute
from hzsynth.core.processes import ALONE, Processes
from hzsynth.core.seeding import torch_generator


def ensemble_probabilities(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """The mean of the teachers' softmax at a temperature.

    Args:
        logits: T x N x C, one slice a teacher.
        temperature: at least 1 softens, 1 is the plain softmax.

    Returns:
        N x C, every row sums to 1.
    """
    return (logits / temperature).softmax(dim=2).mean(dim=0)


@dataclass(frozen=True)
class Distillation:
    """How much the teachers count beside the classes.

    Attributes:
        alpha: a in [0, 1], the share of the teachers in the loss.
        temperature: T of both softmaxes, at least 1.
        weights: float C, of the classes in the cross-entropy; None: all alike.
    """

    alpha: float
    temperature: float
    weights: torch.Tensor | None = None


def distillation_losses(
    student: torch.Tensor, targets: torch.Tensor, teachers: torch.Tensor, how: Distillation
) -> Losses:
    """L = (1 - a) CE(y, s) + a T^2 KL(p_T || p_S).

    Args:
        student: N x C logits.
        targets: int64 N, the true classes; or float32 N x C, their shares.
        teachers: N x C probabilities p_T at the temperature (see `ensemble_probabilities`).
        how: a, T and the weights of the classes.

    Returns:
        ``loss`` L, and of it ``label_loss`` CE and ``teacher_loss`` T^2 KL: means over the batch; T^2
        keeps the gradients' scale independent of T.
    """
    label = functional.cross_entropy(student, targets, weight=how.weights)
    logarithm = (student / how.temperature).log_softmax(dim=1)
    divergence = functional.kl_div(logarithm, teachers, reduction="batchmean")
    return {
        LOSS: (1 - how.alpha) * label + how.alpha * how.temperature**2 * divergence,
        "label_loss": label,
        "teacher_loss": how.temperature**2 * divergence,
    }


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
        network: in evaluation mode.
    """

    name: str
    network: PixelNetwork


class TeacherAnswers:
    """What the teachers say about the views of a batch.

    With clean views an image that is not varied is seen as it is or mirrored: these logits are computed
    once and looked up. Varied images and noisy views are answered anew.

    Args:
        teachers: in any order.
        pixels: uint8 N x 3 x H x W, the training images.
        mirrored: whether mirrored views occur.
        view: clean or noisy.
        processes: that train together: each asks about a part of the images and tells the others.
    """

    def __init__(
        self,
        teachers: Sequence[Teacher],
        pixels: torch.Tensor,
        *,
        mirrored: bool,
        view: TeacherView,
        processes: Processes = ALONE,
    ) -> None:
        self._processes = processes
        self._teachers: Mapping[str, PixelNetwork] = {t.name: t.network for t in teachers}
        self._pixels, self._mirrored, self._view = pixels, mirrored, view
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
        with torch.no_grad():
            return torch.stack([self._teachers[name](noisy) for name in names])

    def _clean_answer(self, name: str, batch: Batch) -> torch.Tensor:
        """B x C."""
        teacher = self._teachers[name]
        if batch.varied:
            logits = teacher.logits(batch.pixels)
        else:
            logits = self._table(name)[batch.flipped.long(), batch.indices]
        return logits.to(teacher.compute.device)

    def _table(self, name: str) -> torch.Tensor:
        """2 x N x C: the plain and the mirrored view of every image."""
        if name not in self._clean:
            teacher = self._teachers[name]
            views = [self._pixels, self._pixels.flip(3)] if self._mirrored else [self._pixels]
            self._clean[name] = torch.stack([self._asked(teacher, view) for view in views])
        return self._clean[name]

    def _asked(self, teacher: PixelNetwork, pixels: torch.Tensor) -> torch.Tensor:
        """N x C; every process asks about the same number of images, the last ones maybe twice."""
        count, number = self._processes.count, self._processes.number
        each = -(-len(pixels) // count)
        rows = torch.arange(number * each, (number + 1) * each).clamp_max(len(pixels) - 1)
        logits = teacher.logits(pixels if count == 1 else pixels[rows])
        return self._processes.gathered(logits.to(teacher.compute.device)).cpu()[: len(pixels)]


@dataclass(frozen=True)
class CorruptedBatches:
    """The student's input: batches, and how strongly they are corrupted at most.

    Attributes:
        batches: by step.
        steps: of all stages.
        noise: course of the strength (see `corruption_strength`).
        strongest: strength in [0, 1].
        seed: root of the corruptions.
    """

    batches: BatchSource
    steps: int
    noise: InputNoise
    strongest: float
    seed: int

    def __call__(self, step: int, compute: Compute) -> tuple[Batch, torch.Tensor]:
        """The batch of a step, and its corrupted view: float B x 3 x H x W in [0, 1]."""
        batch = self.batches[step]
        generator = torch_generator(self.seed, "classify", "corruption", step)
        strength = corruption_strength(step, self.steps, self.noise, self.strongest)
        return batch, corrupt(to_unit(batch.pixels, compute), strength, generator)


class StudentLosses:
    """The losses of one stage of the curriculum: cross-entropy, or with teachers distillation.

    Args:
        student: in training mode.
        inputs: what it sees at a step.
        names: the stage's teachers, possibly none.
        answers: what the teachers say.
        how: much they count.
    """

    def __init__(
        self,
        student: PixelNetwork,
        inputs: CorruptedBatches,
        names: Sequence[str],
        answers: TeacherAnswers,
        how: Distillation,
    ) -> None:
        self._student, self._inputs = student, inputs
        self._names, self._answers, self._how = tuple(names), answers, how

    def __call__(self, step: int) -> Losses:
        """The losses at a step."""
        batch, view = self._inputs(step, self._student.compute)
        logits = self._student(view)
        targets = batch.targets.to(logits.device)
        if not self._names:
            weights = self._how.weights
            return {LOSS: functional.cross_entropy(logits, targets, weight=weights)}
        answers = self._answers(self._names, batch, view)
        said = ensemble_probabilities(answers, self._how.temperature)
        return distillation_losses(logits, targets, said, self._how)
