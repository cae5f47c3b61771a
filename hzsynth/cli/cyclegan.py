"""hzsynth cyclegan: map lesions onto another population's skin."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hzsynth.cli.arguments import RunPath, SetPath, Workers, known_label, open_set
from hzsynth.cli.session import Session, command, group
from hzsynth.core.errors import InputError, RefusedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hzsynth.core.devices import Compute
    from hzsynth.core.image_set import ImageSet
    from hzsynth.cyclegan.domains import FindLesion
    from hzsynth.cyclegan.judging import Judge
    from hzsynth.cyclegan.trainer import Classify

app = group("CycleGAN: lesions onto the skin of another population, the lesion kept.")


def _domains(
    source: Path, target: Path, label: str | None, target_label: str | None
) -> tuple["ImageSet", "ImageSet"]:
    """Opens both sets and keeps the classes that were asked for."""
    lesions, skin = open_set(source), open_set(target)
    if label is not None:
        lesions = lesions.select(label=known_label(lesions, label))
    if target_label is not None:
        skin = skin.select(label=known_label(skin, target_label))
    return lesions, skin


Source = Annotated[Path, typer.Argument(metavar="SOURCE", help="Photographs with lesions.")]
Target = Annotated[Path, typer.Argument(metavar="TARGET", help="Photographs of target skin.")]
SourceLabel = Annotated[str | None, typer.Option("--label", help="Class of SOURCE to use.")]
TargetLabel = Annotated[str | None, typer.Option("--target-label", help="Class of TARGET to use.")]


@command(app, "train")
def train(
    session: Session,
    source: Source,
    target: Target,
    label: SourceLabel = None,
    target_label: TargetLabel = None,
    preserve: Annotated[
        str | None,
        typer.Option(help="none, mask, semantic, gated, blind, contrast; several with commas."),
    ] = None,
    objective: Annotated[str | None, typer.Option(help="cyclegan or cut (PatchNCE).")] = None,
    classifier: Annotated[
        Path | None,
        typer.Option(
            "--classifier",
            metavar="RUN",
            help="Frozen classifier whose judgement is kept; for --preserve semantic.",
        ),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Where SOURCE has no masks: find lesions by this classifier's Grad-CAM, not by redness.",
        ),
    ] = None,
    resolution: Annotated[int | None, typer.Option(help="Side in pixels.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after this wall-clock time.")] = None,
    batch: Annotated[int | None, typer.Option(help="Images a step.")] = None,
) -> None:
    """Trains both directions on the train splits; the same command resumes."""
    from hzsynth.cyclegan.config import CycleGanConfig
    from hzsynth.cyclegan.training import train_cyclegan
    from hzsynth.data.lesion import lesion_mask

    config = session.resolve(
        CycleGanConfig,
        preserve=preserve,
        objective=objective,
        resolution=resolution,
        steps=steps,
        minutes=minutes,
        batch=batch,
    )
    lesions, skin = _domains(source, target, label, target_label)
    inputs = {"source": lesions.digest, "target": skin.digest}
    classify = None
    if classifier is not None:
        inputs["classifier"], classify = _frozen(classifier, session.compute)
    find = None
    if masks is not None:
        inputs["masks"], find = _by_heat(masks, lesions)
    run = session.start_run("cyclegan", config, inputs)
    train_cyclegan(
        lesions,
        skin,
        config,
        run,
        compute=session.compute,
        classify=classify,
        find=find or lesion_mask,
        progress=session.progress,
        processes=session.processes,
    )
    session.show({"run": str(run.path), **run.result}, "cyclegan train")


def _by_heat(path: Path, lesions: "ImageSet") -> tuple[str, "FindLesion"]:
    """A trained classifier's id, and where it sees the lesion.

    Raises:
        InputError: no finished classifier run, or it does not know the one class of the lesions.
    """
    import numpy as np

    from hzsynth.classify.explain.heat_maps import grad_cam
    from hzsynth.classify.models import load_classifier
    from hzsynth.core.photos import square
    from hzsynth.core.run import RunDir
    from hzsynth.cyclegan.domains import mask_of_heat

    run = RunDir.load(path)
    model = load_classifier(run)
    place = model.labels.index(_known_class(lesions, model.labels))

    def find(pixels: "NDArray[np.uint8]") -> "NDArray[np.bool_]":
        seen = np.ascontiguousarray(square(pixels, model.size).transpose(2, 0, 1))
        return mask_of_heat(grad_cam(model, seen, place), (pixels.shape[0], pixels.shape[1]))

    return run.id, find


def _known_class(lesions: "ImageSet", labels: Sequence[str]) -> str:
    """The one class of the lesions, which a classifier has to know."""
    if len(lesions.labels) != 1 or lesions.labels[0] not in labels:
        raise InputError(
            f"SOURCE must be of one class that the classifier knows ({', '.join(labels)}), not "
            f"{', '.join(lesions.labels)}; choose one with --label"
        )
    return lesions.labels[0]


def _frozen(path: Path, compute: "Compute") -> tuple[str, "Classify"]:
    """A trained classifier's id and its logits of images in [-1, 1], differentiable.

    Raises:
        InputError: no finished classifier run.
    """
    import torch
    from torch.nn import functional

    from hzsynth.classify.models import load_classifier
    from hzsynth.core.run import RunDir

    run = RunDir.load(path)
    model = load_classifier(run)
    network = model.network.to(compute.device).requires_grad_(False)
    mean, deviation = (
        torch.tensor(values, device=compute.device).view(1, 3, 1, 1)
        for values in (model.mean, model.std)
    )

    def classify(images: torch.Tensor) -> torch.Tensor:
        shape = (model.size, model.size)
        resized = functional.interpolate(images * 0.5 + 0.5, shape, mode="bilinear", antialias=True)
        logits: torch.Tensor = network((resized - mean) / deviation)
        return logits

    return run.id, classify


@command(app, "translate")
def translate_images(
    session: Session,
    run: RunPath,
    images: SetPath,
    label: Annotated[str | None, typer.Option(help="Translate only this class.")] = None,
) -> None:
    """Translates every image of a set to the target skin; masks and labels stay.

    Its table says of every image whether the lesion was kept, and the tone of the skin.
    """
    from hzsynth.core.run import RunDir
    from hzsynth.cyclegan.translation import LESION_KEPT, translate

    source = open_set(images)
    if label is not None:
        source = source.select(label=known_label(source, label))
    translated = translate(
        RunDir.load(run, "cyclegan"),
        source,
        session.output,
        compute=session.compute,
        force=session.force,
        progress=session.progress,
    )
    kept = [record.extra[LESION_KEPT] for record in translated]
    session.show(
        {
            "set": str(translated.root),
            "images": len(translated),
            "lesions kept": kept.count("yes"),
            "lesions lost": kept.count("no"),
            "unknown": kept.count("unknown"),
        },
        "cyclegan translate",
    )


@command(app, "transplant")
def transplant_lesions(
    session: Session,
    source: Source,
    target: Target,
    count: Annotated[int | None, typer.Option(help="Images to make.")] = None,
    label: SourceLabel = None,
    target_label: TargetLabel = None,
    workers: Workers = 0,
) -> None:
    """Lays the lesions of SOURCE onto the skin of TARGET, many different ones of a pair.

    Only train splits are used. `translate` can take the result through a trained model.
    """
    from hzsynth.cyclegan.transplant_set import TransplantConfig, transplant_images

    config = session.resolve(TransplantConfig, count=count)
    made = transplant_images(
        *_domains(source, target, label, target_label),
        config,
        session.output,
        force=session.force,
        workers=workers,
        progress=session.progress,
    )
    lesions = {record.parents[0] for record in made}
    hosts = {record.parents[1] for record in made}
    session.show(
        {
            "set": str(made.root),
            "images": len(made),
            "lesions": len(lesions),
            "hosts": len(hosts),
        },
        "cyclegan transplant",
    )


@command(app, "compare")
def compare_methods(
    session: Session,
    run: RunPath,
    source: Source,
    target: Target,
    label: SourceLabel = None,
    target_label: TargetLabel = None,
    classifier: Annotated[
        Path | None,
        typer.Option(
            "--classifier",
            metavar="RUN",
            help="Classifier that says whether lesions are kept; by default one is trained.",
        ),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of the pictures, pixels.")] = None,
    gate: Annotated[bool, typer.Option("--gate", help="Exit 3 when the model fails.")] = False,
) -> None:
    """Compares a trained model with tone transfers and the transplant; one recommendation.

    Photographs that the model did not see are used where there are eight of them.
    """
    from hzsynth.core.image_set_writer import refuse_existing
    from hzsynth.core.run import RunDir
    from hzsynth.cyclegan.comparison import ComparisonConfig, compare
    from hzsynth.cyclegan.comparison_page import PAGE, write_comparison
    from hzsynth.cyclegan.training import load_generator
    from hzsynth.cyclegan.translation import translate_pixels

    config = session.resolve(ComparisonConfig, size=size)
    refuse_existing(session.output, session.force, PAGE)
    lesions, skin = _domains(source, target, label, target_label)
    trained = RunDir.load(run, "cyclegan")
    generator, training = load_generator(trained, session.compute)
    config = config.model_copy(update={"size": config.size or training.resolution})
    translated = partial(
        translate_pixels, generator, size=training.resolution, compute=session.compute
    )
    result = compare(
        translated,
        trained.training_images(),
        lesions,
        skin,
        config,
        compute=session.compute,
        judge=None if classifier is None else _judge(classifier, lesions, session.compute),
        harmonise=partial(translated, of_target=True),
        progress=session.progress,
    )
    for remark in result.remarks:
        session.say(remark)
    page = write_comparison(result, session.output)
    session.show(
        {"report": str(page), **result.to_json()}
        if session.json
        else {"report": str(page), "recommendation": result.recommendation},
        "cyclegan compare",
    )
    if gate and not result.passed:
        raise RefusedError(result.recommendation)


def _judge(path: Path, lesions: "ImageSet", compute: "Compute") -> "Judge":
    """A classifier as the judge; the CycleGAN's room may not know the classifiers'.

    Raises:
        InputError: no classifier run, or it does not know the class of the lesions.
    """
    from hzsynth.classify.models import load_classifier
    from hzsynth.core.run import RunDir
    from hzsynth.cyclegan.judging import classifier_judge

    model = load_classifier(RunDir.load(path))
    label = _known_class(lesions, model.labels)
    return classifier_judge(
        f"{model.model} of '{path.name}'",
        model.labels,
        model.size,
        lambda pixels: model.probabilities(pixels, compute),
        label,
    )
