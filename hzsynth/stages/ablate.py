"""The ablation as a run, with its report."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hzsynth.ablate import runner
from hzsynth.ablate.config import AblateConfig
from hzsynth.ablate.design import plan, plan_text
from hzsynth.ablate.report import ablation_plot, arms_table, write_ablation_report
from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.stages.places import Place
from hzsynth.stages.showing import notebook_html
from hzsynth.statistics.metric_intervals import FEWEST_PATIENTS
from hzsynth.statistics.power import Spreads, spreads_of


@dataclass(frozen=True, repr=False)
class Ablation:
    """A finished ablation.

    Attributes:
        run: where it lies.
        result: arms, runs, statistics and verdict.
        page: the report.
    """

    run: RunDir
    result: runner.AblationResult
    page: Path

    @property
    def verdict(self) -> str:
        """The answer in one sentence."""
        return self.result.analysis.verdict.sentence

    def __repr__(self) -> str:
        return self.verdict

    def _repr_html_(self) -> str:
        """The verdict, the arms and the figure."""
        return notebook_html(
            "verdict",
            sentences=(self.verdict,),
            rows=arms_table(self.result),
            picture=ablation_plot(self.result),
        )


def ablate(
    real: ImageSet,
    synthetic: Mapping[str, ImageSet],
    config: AblateConfig,
    place: Place,
    *,
    compute: Compute,
    progress: Progress = SILENT,
) -> Ablation:
    """Trains every arm with every seed, or goes on after the last whole cell.

    Args:
        real: photographs with splits.
        synthetic: name -> set of generated images.
        config: the settings.
        place: where the run lies.
        compute: device and precision.
        progress: where progress is shown.

    Returns:
        The result, its report written.

    Raises:
        InputError: see `ablate.design.plan`.
        RefusedError: a training image touches a held-out photograph.
    """
    place.say(plan_text(config, real, plan(config, real, synthetic)))
    inputs = {"real": real.digest, **{name: images.digest for name, images in synthetic.items()}}
    with place.run(runner.KIND, config, inputs) as run:
        if not run.finished:
            runner.run_ablation(real, synthetic, config, run, compute=compute, progress=progress)
    return report_ablation(run)


def report_ablation(run: RunDir, folder: Path | None = None) -> Ablation:
    """Reads a finished ablation, compares its arms again and writes the report.

    Args:
        run: of the ablation.
        folder: where the report goes; None for below the run.

    Returns:
        The result, its report written.

    Raises:
        InputError: the run is of another stage, not finished, or damaged.
    """
    result = runner.load_ablation(run)
    return Ablation(run, result, write_ablation_report(run, result, folder))


def pilot_spreads(run: RunDir, label: str) -> Spreads:
    """By how much the figures of a finished ablation varied, to plan a larger one by.

    Args:
        run: of the ablation.
        label: the target class of the study that is planned.

    Returns:
        The spreads of the contrast that decided.

    Raises:
        InputError: it is of another class, compared nothing, or had a single run or too few patients.
    """
    result = runner.load_ablation(run)
    if result.config.label != label:
        raise InputError(
            f"`pilot` '{run.path}' is an ablation of '{result.config.label}', not of '{label}'"
        )
    contrast = result.analysis.decisive
    spreads = None if contrast is None else spreads_of(contrast)
    if spreads is None:
        raise InputError(
            f"`pilot` '{run.path}' needs a synthetic arm, two runs of each arm and {FEWEST_PATIENTS} "
            "test patients of the class to say how much a difference varies"
        )
    return spreads
