"""An epoch of the student's distillation against the loop that everybody writes first.

Both teach the same student by the same teachers on the same images, mirrored and corrupted alike,
with the same loss. The plain loop works in float32, contiguous layout, and asks every teacher at
every step; hzsynth's asks each teacher once for every image and its mirror image, keeps the answers,
and works with channels last. Its time includes asking the teachers. The second part trains small
students to the end in both ways, several seeds, and compares validation F1.

Timed are the published teachers (ResNet-50, SE-ResNeXt-101, Inception-v3) with a mobile student and with
DenseNet-121 (random weights: speed does not depend on them), over as many epochs as the default
curriculum makes on some 300 photographs. Answers can be kept only where images are mirrored and no more
(``--augment flip``, which is timed by default): with ``--augment vary``, the default of a training, each
view is new, the teachers are asked at every step on both sides, and little is left to gain. No loop can
be faster than its student: what the plain loop spends on the teachers is the most that can be saved, and
is printed as the limit.
"""

import argparse
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from common import Pair, report, seconds
from torch import nn

from hzsynth.classify.models import PixelNetwork, create_network, normalisation, normalise, placed
from hzsynth.classify.train.batches import make_batches
from hzsynth.classify.train.config import KdectConfig
from hzsynth.classify.train.corruptions import corrupt
from hzsynth.classify.train.distillation import (
    CorruptedBatches,
    Distillation,
    StudentLosses,
    Teacher,
    TeacherAnswers,
    corruption_strength,
    distillation_losses,
    ensemble_probabilities,
)
from hzsynth.classify.train.loading import LabelledImages, TrainingData, load_training_data
from hzsynth.classify.train.selection import validation_scores
from hzsynth.core.devices import CPU_FP32
from hzsynth.core.image_set import ImageSet
from hzsynth.core.seeding import torch_generator
from hzsynth.data.config import PhantomConfig
from hzsynth.data.sources.phantom import import_phantom
from hzsynth.data.splits import split_images

LABEL = "herpes_zoster"
PUBLISHED = ("resnet50", "seresnext101_32x4d", "inception_v3")
STUDENTS = ("mobilenetv3_large_100", "densenet121")


def networks(config: KdectConfig, classes: int) -> tuple[nn.Module, dict[str, nn.Module]]:
    teachers = {}
    for name in config.teachers:
        network = create_network(
            name, classes=classes, pretrained=config.teacher_pretrained, seed=config.seed
        )
        teachers[name] = network.eval().requires_grad_(False)
    student = create_network(
        config.student, classes=classes, pretrained=config.pretrained, seed=config.seed
    )
    return student.train(), teachers


def asked(network: nn.Module, name: str) -> PixelNetwork:
    return PixelNetwork(placed(network, CPU_FP32), normalisation(name), CPU_FP32)


def steps_of(data: TrainingData, config: KdectConfig, epochs: int) -> int:
    return epochs * max(1, len(data.train) // config.batch)


def own(data: TrainingData, config: KdectConfig, epochs: int) -> nn.Module:
    student, networks_of_teachers = networks(config, len(data.labels))
    teachers = [Teacher(name, asked(each, name)) for name, each in networks_of_teachers.items()]
    steps = steps_of(data, config, epochs)
    batches, strongest = make_batches(data, config), config.noise_strength
    losses = StudentLosses(
        asked(student, config.student),
        CorruptedBatches(batches, steps, config.input_noise, strongest, config.seed),
        config.teachers,
        TeacherAnswers(teachers, data.train.pixels, mirrored=True, view="clean"),
        Distillation(config.alpha, config.temperature),
    )
    optimiser = torch.optim.Adam(student.parameters(), config.learning_rate)
    for step in range(steps):
        optimiser.zero_grad()
        losses(step)["loss"].backward()
        optimiser.step()
    return student


def plain(data: TrainingData, config: KdectConfig, epochs: int) -> nn.Module:
    student, teachers = networks(config, len(data.labels))
    batches = make_batches(data, config)
    steps = steps_of(data, config, epochs)
    how = Distillation(config.alpha, config.temperature)
    optimiser = torch.optim.Adam(student.parameters(), config.learning_rate)
    for step in range(steps):
        batch = batches[step]
        clean = batch.pixels.float() / 255
        generator = torch_generator(config.seed, "classify", "corruption", step)
        strength = corruption_strength(step, steps, config.input_noise, config.noise_strength)
        view = corrupt(clean, strength, generator)
        with torch.no_grad():
            answers = torch.stack(
                [t(normalise(clean, *normalisation(name))) for name, t in teachers.items()]
            )
        logits = student(normalise(view, *normalisation(config.student)))
        said = ensemble_probabilities(answers, config.temperature)
        loss = distillation_losses(logits, batch.targets, said, how)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return student


def limit(data: TrainingData, config: KdectConfig) -> float:
    """How much faster the plain loop would be if its teachers cost nothing."""
    student, teachers = networks(config, len(data.labels))
    batch = make_batches(data, config)[0]
    pixels = batch.pixels.float() / 255

    def learn() -> None:
        nn.functional.cross_entropy(student(pixels), batch.targets).backward()

    @torch.no_grad()
    def ask() -> None:
        for teacher in teachers.values():
            teacher(pixels)

    times = {}
    for name, part in (("learn", learn), ("ask", ask)):
        part()
        times[name] = statistics.median(seconds(part) for _ in range(3))
    return (times["learn"] + times["ask"]) / times["learn"]


def timed(config: KdectConfig, images: ImageSet, count: int, epochs: int) -> Pair:
    """Seconds an epoch of both ways."""
    data = load_training_data(images, config.size, LABEL)
    rows = torch.linspace(0, len(data.train) - 1, count).long()
    few = replace(data, train=LabelledImages(data.train.pixels[rows], data.train.targets[rows]))
    few = replace(few, records=tuple(data.records[row] for row in rows.tolist()))
    times = [seconds(lambda: own(few, config, epochs)), seconds(lambda: plain(few, config, epochs))]
    each = [passed / epochs for passed in times]
    case = f"{' + '.join(config.teachers)} -> {config.student}, {config.size} px"
    print(
        f"{case}: seconds an epoch {each[0]:.2f} against {each[1]:.2f}; with teachers that cost "
        f"nothing {limit(few, config):.2f} times faster at most",
        file=sys.stderr,
        flush=True,
    )
    return Pair(case, *each)


def f1(network: nn.Module, data: TrainingData, config: KdectConfig) -> float:
    logits = asked(network.eval(), config.student).logits(data.validation.pixels)
    return validation_scores(logits, data.validation.targets, data.target)["macro_f1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="small networks, one epoch, one seed")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--augment", choices=("flip", "vary"), default="flip")
    parser.add_argument("--students", nargs="+", choices=STUDENTS, default=STUDENTS)
    parser.add_argument("--speed-only", action="store_true", help="leave the trained students out")
    options = parser.parse_args()
    lite = {"teachers": ("efficientnet-lite0", "efficientnet-lite1"), "augment": options.augment}
    with tempfile.TemporaryDirectory(prefix="hzsynth-kdect-") as name:
        root = Path(name)
        images = split_images(import_phantom(PhantomConfig(), root / "set"), root / "split")
        small = {"label": LABEL, "size": 64, **lite}
        if options.fast:
            settings = [KdectConfig(**small)]
        else:
            none = {"teacher_pretrained": "none", "pretrained": "none", "augment": options.augment}
            settings = [
                KdectConfig(
                    label=LABEL, size=options.size, teachers=PUBLISHED, student=student, **none
                )
                for student in options.students
            ]
        epochs, repeats = (1, 1) if options.fast else (options.epochs, options.pairs)
        pairs = [
            timed(config, images, options.images, epochs)
            for _ in range(repeats)
            for config in settings
        ]
        found: dict[str, list[float]] = {"own": [], "plain": []}
        for seed in () if options.speed_only else range(1 if options.fast else 3):
            config = KdectConfig(seed=seed, **small)
            data = load_training_data(images, config.size, LABEL)
            rounds = 1 if options.fast else 3
            for way, train in (("own", own), ("plain", plain)):
                found[way].append(f1(train(data, config, rounds), data, config))
        for way, values in found.items() if not options.speed_only else ():
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            print(
                f"{way}: validation macro F1 {statistics.mean(values):.3f} ± {spread:.3f}, n = "
                f"{len(data.validation)}",
                file=sys.stderr,
            )
    for config in settings:
        own_pairs = [pair for pair in pairs if f"-> {config.student}," in pair.case]
        claim = f"an epoch of distillation of {config.student} over the plain loop's"
        name = f"kdect_throughput_{config.student}"
        if options.augment != "flip":
            name, claim = f"{name}-{options.augment}", f"{claim}, every image varied"
        report(name, claim, 3.0, own_pairs)


if __name__ == "__main__":
    main()
