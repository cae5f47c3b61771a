"""The audit with everything that it needs: members and held-out photographs, the discriminator."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hzsynth.audit.config import AuditConfig
from hzsynth.audit.division import divide_photographs
from hzsynth.audit.gate import audit_images
from hzsynth.audit.page import closest_sheet, write_audit
from hzsynth.audit.result import AuditResult
from hzsynth.core.devices import Compute
from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.run import RunDir
from hzsynth.stages.classes import of_class
from hzsynth.stages.discriminator import open_discriminator
from hzsynth.stages.showing import notebook_html


@dataclass(frozen=True, repr=False)
class Audit:
    """An audit, with the images that it looked at.

    Attributes:
        result: what was found.
        generated: the audited images.
        members: photographs that the generator learned from.
        held_out: photographs that it did not see.
        remarks: what the sets' lineage leaves open.
    """

    result: AuditResult
    generated: ImageSet
    members: ImageSet
    held_out: ImageSet
    remarks: Sequence[str]

    @property
    def passed(self) -> bool:
        """Whether the gate passes."""
        return self.result.passed

    def __repr__(self) -> str:
        return self.result.sentence()

    def _repr_html_(self) -> str:
        """The verdict, and the pairs that are nearest to each other."""
        return notebook_html(
            "the gate passes" if self.passed else "the gate fails",
            sentences=(self.result.sentence(), *self.remarks),
            picture=closest_sheet(self.result, self.generated, self.members, self.held_out),
        )

    def write(self, folder: Path | str) -> Path:
        """Writes the report; returns its page.

        Raises:
            InputError: the folder cannot be written to.
        """
        return write_audit(self.result, self.generated, self.members, self.held_out, Path(folder))


def audit(
    generated: ImageSet,
    train: ImageSet,
    config: AuditConfig,
    *,
    held_out: ImageSet | None = None,
    run: RunDir | None = None,
    compute: Compute,
    progress: Progress = SILENT,
) -> Audit:
    """Looks for copied photographs and for membership.

    Args:
        generated: the generated images.
        train: the set that the generator was trained on: members are those of its photographs that
            the lists of `generated` name.
        config: the settings.
        held_out: photographs that it did not see; by default val and test of `train`,
            of the generated classes.
        run: the generator's run, whose discriminator is asked who was in training.
        compute: device and precision.
        progress: where progress is shown.

    Returns:
        What was found; `Audit.result` says whether the gate passes.

    Raises:
        InputError: see `audit.gate.audit_images`; the run did not make these images.
        RefusedError: a held-out photograph was in a generator's training, or a photograph of it
            is missing in `train`.
    """
    if config.label is not None:
        generated = of_class(generated, config.label)
    judge = None if run is None else open_discriminator(run, generated, compute)
    if config.gate_discriminator and judge is None:
        raise InputError("`gate_discriminator` needs `run`: whose discriminator is asked")
    lists = dict(generated.lineage)
    if judge is not None:
        lists[judge.run] = judge.trained_on
    divided = divide_photographs(
        generated, train, lists, held_out=held_out, complete=[judge.run] if judge else []
    )
    result = audit_images(
        generated,
        divided.members,
        divided.held_out,
        config,
        compute=compute,
        judge=judge,
        remarks=divided.remarks,
        progress=progress,
    )
    return Audit(result, generated, divided.members, divided.held_out, divided.remarks)
