"""Translation of lesions onto other skin, with the classifiers that may take part in it."""

from dataclasses import dataclass
from functools import partial

from hzsynth.core.devices import Compute
from hzsynth.core.image_set import ImageSet
from hzsynth.core.lineage import check_learned
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.cyclegan import comparison, training
from hzsynth.cyclegan.config import ComparisonConfig, CycleGanConfig
from hzsynth.cyclegan.domains import FindLesion
from hzsynth.cyclegan.objectives import Classify
from hzsynth.cyclegan.translation import LESION_KEPT, translate_pixels
from hzsynth.data.lesion import lesion_mask
from hzsynth.stages.lesion_classifiers import frozen_classifier, lesion_judge, lesions_by_heat
from hzsynth.stages.places import Place

KIND = "cyclegan"


def train_cyclegan(
    source: ImageSet,
    target: ImageSet,
    config: CycleGanConfig,
    place: Place,
    *,
    classifier: RunDir | None = None,
    masks: RunDir | None = None,
    compute: Compute,
    progress: Progress = SILENT,
) -> RunDir:
    """Trains both directions on the train splits, or goes on where the run left off.

    Args:
        source: photographs with lesions.
        target: photographs of the skin to map onto.
        config: the settings.
        place: where the run lies.
        classifier: whose judgement is kept, for ``preserve = "semantic"``.
        masks: a classifier whose Grad-CAM finds lesions where `source` has no masks; without one
            they are found by redness.
        compute: device and precision.
        progress: where progress is shown.

    Returns:
        The finished run.

    Raises:
        InputError: see `cyclegan.training.train_cyclegan`; a classifier does not know the class.
        RefusedError: a photograph to learn from touches a held-out one.
    """
    inputs = {"source": source.digest, "target": target.digest}
    classify: Classify | None = None
    find: FindLesion = lesion_mask
    behind = {run.id: run.training_images() for run in (classifier, masks) if run is not None}
    if classifier is not None:
        inputs["classifier"] = classifier.id
        classify = frozen_classifier(classifier, compute)
    if masks is not None:
        inputs["masks"] = masks.id
        find = lesions_by_heat(masks, source)
    with place.run(KIND, config, inputs) as run:
        if not run.finished:
            training.train_cyclegan(
                source,
                target,
                config,
                run,
                compute=compute,
                classify=classify,
                find=find,
                behind=behind,
                progress=progress,
                processes=place.processes,
            )
    return run


def compare_cyclegan(
    run: RunDir,
    source: ImageSet,
    target: ImageSet,
    config: ComparisonConfig,
    *,
    classifier: RunDir | None = None,
    compute: Compute,
    progress: Progress = SILENT,
) -> comparison.Comparison:
    """Compares a trained model with tone transfers and the transplant.

    Args:
        run: the trained model's.
        source: photographs with lesions.
        target: photographs of the skin that it maps onto.
        config: the settings; a size of 0 is that of the model.
        classifier: says whether lesions are kept; by default one is trained for it.
        compute: device and precision.
        progress: where progress is shown.

    Returns:
        The comparison, with one recommendation.

    Raises:
        InputError: see `cyclegan.comparison.compare`; the classifier does not know the class.
        RefusedError: the classifier learned from what touches a held-out photograph.
    """
    if classifier is not None:
        held_out = [source.held_out_part(), target.held_out_part()]
        check_learned(classifier.id, classifier.training_images(), held_out, [source, target])
    generator, trained = training.load_generator(run, compute)
    translated = partial(translate_pixels, generator, size=trained.resolution, compute=compute)
    return comparison.compare(
        translated,
        run.training_images(),
        source,
        target,
        config.model_copy(update={"size": config.size or trained.resolution}),
        compute=compute,
        judge=None if classifier is None else lesion_judge(classifier, source, compute),
        harmonise=partial(translated, of_target=True),
        of_tone_map=trained.objective == "tone",
        progress=progress,
    )


@dataclass(frozen=True)
class KeptLesions:
    """What became of the lesions of a translated set.

    Attributes:
        kept: images whose lesion was kept.
        lost: images whose lesion was lost.
        unknown: images of which it cannot be said.
    """

    kept: int
    lost: int
    unknown: int

    @classmethod
    def of(cls, translated: ImageSet) -> "KeptLesions":
        """Counts them in a set that `cyclegan.translation.translate` wrote."""
        told = [record.extra[LESION_KEPT] for record in translated]
        return cls(told.count("yes"), told.count("no"), told.count("unknown"))
