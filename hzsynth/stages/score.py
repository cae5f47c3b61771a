"""A generated set against photographs, of all classes or of one."""

from pathlib import Path

from hzsynth.core.devices import Compute
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT, Progress
from hzsynth.score.config import ScoreConfig
from hzsynth.score.results import ScoreReport
from hzsynth.score.scoring import score_images
from hzsynth.stages.classes import of_class


def score(
    real: ImageSet,
    fake: ImageSet,
    config: ScoreConfig,
    *,
    label: str | None = None,
    compute: Compute,
    cache: Path | None = None,
    progress: Progress = SILENT,
) -> ScoreReport:
    """Scores generated images.

    Args:
        real: photographs.
        fake: generated images.
        config: metrics, features and the rest.
        label: compare only this class of both.
        compute: device and precision.
        cache: folder that keeps features; None keeps none.
        progress: where progress is shown.

    Returns:
        Every score with its conditions.

    Raises:
        InputError: a set lacks the class; see `score.scoring.score_images`.
    """
    return score_images(
        of_class(real, label),
        of_class(fake, label),
        config,
        compute=compute,
        progress=progress,
        cache=cache,
    )
