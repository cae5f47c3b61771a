"""hzsynth audit: copying and membership; exit 3 when the gate fails."""

from pathlib import Path
from typing import Annotated

import typer

from hzsynth.audit.config import AuditConfig
from hzsynth.cli.arguments import open_set
from hzsynth.cli.commands import command
from hzsynth.cli.session import Session
from hzsynth.core.errors import RefusedError

Train = Annotated[Path, typer.Option(metavar="SET", help="What the generator learned from.")]
HeldOut = Annotated[
    Path | None,
    typer.Option(
        "--holdout",
        metavar="SET",
        help="Photographs that it did not see; by default val and test of `train`.",
    ),
]
GanRun = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN",
        help="GAN run that made FAKE: its discriminator is asked who was in training.",
    ),
]


@command("audit", AuditConfig, usual=("label", "size", "gate_discriminator"))
def audit(
    session: Session,
    fake: Annotated[Path, typer.Argument(metavar="FAKE", help="Generated images.")],
    train: Train,
    held_out: HeldOut = None,
    run: GanRun = None,
) -> None:
    """Looks for copied photographs and for membership; exit 3 when the gate fails.

    Members are the photographs that the lineage of FAKE names; held out are val and test of the
    generated classes.
    """
    from hzsynth.core.run import RunDir
    from hzsynth.stages.audit import audit as audit_generated

    config = session.resolve(AuditConfig)
    done = audit_generated(
        open_set(fake),
        open_set(train),
        config,
        held_out=None if held_out is None else open_set(held_out),
        run=None if run is None else RunDir.load(run, "gan"),
        compute=session.compute,
        progress=session.progress,
    )
    for remark in done.remarks:
        session.say(remark)
    result, page = done.result, done.write(session.output)
    shown: dict[str, object] = {"report": str(page), "to drop": len(result.dropped)}
    if session.json:
        shown |= {key: value for key, value in result.to_json().items() if key != "dropped"}
    else:
        shown |= {"verdict": result.sentence()}
    session.show(shown, "audit")
    if not result.passed:
        raise RefusedError(result.sentence())
