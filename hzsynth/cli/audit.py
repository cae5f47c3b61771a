"""hzsynth audit: copying and membership; exit 3 when the gate fails."""

from pathlib import Path
from typing import Annotated

import typer

from hzsynth.cli.arguments import open_set
from hzsynth.cli.session import Session, command
from hzsynth.core.errors import RefusedError


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @command(app, "audit")
    def audit(
        session: Session,
        fake: Annotated[Path, typer.Argument(metavar="FAKE", help="Generated images.")],
        train: Annotated[
            Path, typer.Option("--train", metavar="SET", help="What the generator learned from.")
        ],
        held_out: Annotated[
            Path | None,
            typer.Option(
                "--holdout",
                metavar="SET",
                help="Photographs that it did not see; by default val and test of --train.",
            ),
        ] = None,
        label: Annotated[str | None, typer.Option(help="Audit only this class.")] = None,
        size: Annotated[int | None, typer.Option(help="Side of the comparison, pixels.")] = None,
        run: Annotated[
            Path | None,
            typer.Option(
                "--run",
                metavar="RUN",
                help="GAN run that made FAKE: its discriminator is asked who was in training.",
            ),
        ] = None,
        gate_discriminator: Annotated[
            bool,
            typer.Option(
                "--gate-discriminator",
                help="Fail on the discriminator too (by default it informs: no weights leave).",
            ),
        ] = False,
    ) -> None:
        """Looks for copied photographs and for membership; exit 3 when the gate fails.

        Of a --train set with splits only the train split counts as seen.
        """
        from hzsynth.audit.config import AuditConfig
        from hzsynth.core.run import RunDir
        from hzsynth.stages.audit import audit as audit_generated

        config = session.resolve(
            AuditConfig, size=size, label=label, gate_discriminator=gate_discriminator or None
        )
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
        shown = {key: value for key, value in result.to_json().items() if key != "dropped"}
        session.show(
            {"report": str(page), "to drop": len(result.dropped), **shown}
            if session.json
            else {
                "report": str(page),
                "verdict": result.sentence(),
                "to drop": len(result.dropped),
            },
            "audit",
        )
        if not result.passed:
            raise RefusedError(result.sentence())
