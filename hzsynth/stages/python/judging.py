"""Generated images judged in Python: how good they are, and whether they may leave."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hzsynth.audit.config import AuditConfig
from hzsynth.core.progress import Progress
from hzsynth.score.config import ScoreConfig
from hzsynth.score.feature_cache import default_cache_folder
from hzsynth.score.results import Score, ScoreReport
from hzsynth.stages import audit as audit_stage
from hzsynth.stages import gan
from hzsynth.stages import score as score_stage
from hzsynth.stages.python.arguments import (
    Images,
    Trained,
    compute_on,
    opened,
    run_of,
    settings,
    shown,
)
from hzsynth.stages.showing import notebook_html


@dataclass(frozen=True, repr=False)
class Scores:
    """What `score` found, as a notebook shows it.

    Attributes:
        report: every figure with its conditions.
    """

    report: ScoreReport

    def __getitem__(self, metric: str) -> Score:
        """One figure, such as ``scores["kid"]``."""
        return self.report[metric]

    def to_frame(self) -> pd.DataFrame:
        """One row a figure: ``metric``, ``value``, ``spread``, ``floor``, ``against_training``, ``p_adjusted``, ``better``."""
        names = ("metric", "value", "spread", "floor", "against_training", "p_adjusted", "better")
        rows = [{name: getattr(one, name) for name in names} for one in self.report.scores]
        return pd.DataFrame(rows, columns=names)

    def __repr__(self) -> str:
        return "\n".join(self.report.sentences())

    def _repr_html_(self) -> str:
        """The table, and every figure in words."""
        return notebook_html("scores", rows=self.to_frame(), sentences=self.report.sentences())


def score(
    real: Images,
    fake: Images,
    *,
    label: str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    progress: bool | Progress = True,
    **values: object,
) -> Scores:
    """Scores generated images against photographs; features are kept in the cache.

    Args:
        real: photographs.
        fake: generated images.
        label: compare only this class of both.
        seed: of random subsets and divisions.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        progress: whether, or where, progress is shown.
        **values: further settings of `score.config.ScoreConfig`: metrics, features ...

    Returns:
        Every figure with its conditions.

    Raises:
        InputError: a setting is not allowed, or there are too few images.
    """
    report = score_stage.score(
        opened(real),
        opened(fake),
        settings(ScoreConfig, values, seed=seed),
        label=label,
        compute=compute_on(device, precision),
        cache=default_cache_folder(),
        progress=shown(progress),
    )
    return Scores(report)


def audit(
    fake: Images,
    train: Images,
    out: Path | str,
    *,
    held_out: Images | None = None,
    run: Trained | None = None,
    label: str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    progress: bool | Progress = True,
    **values: object,
) -> audit_stage.Audit:
    """Looks for copied photographs and for membership, and writes the report.

    Args:
        fake: generated images.
        train: what the generator learned from; of a set with splits only the train split.
        out: the report's folder; `release` reads it.
        held_out: photographs that it did not see; by default val and test of `train`.
        run: the generator, whose discriminator is asked who was in training.
        label: audit only this class.
        seed: of the bootstrap and of the control.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        progress: whether, or where, progress is shown.
        **values: further settings of `audit.config.AuditConfig`.

    Returns:
        What was found; its ``passed`` says whether the gate passes.

    Raises:
        InputError: a setting is not allowed, or there are too few images.
        RefusedError: a held-out photograph was in a generator's training.
    """
    done = audit_stage.audit(
        opened(fake),
        opened(train),
        settings(AuditConfig, values, label=label, seed=seed),
        held_out=None if held_out is None else opened(held_out),
        run=None if run is None else run_of(run, gan.KIND),
        compute=compute_on(device, precision),
        progress=shown(progress),
    )
    done.write(Path(out))
    return done
