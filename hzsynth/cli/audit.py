"""hzsynth audit: copying and membership; exit 3 when the gate fails."""

from pathlib import Path
from typing import Annotated

import typer

from hzsynth.cli.arguments import known_label, open_set
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
        holdout: Annotated[
            Path | None,
            typer.Option(
                "--holdout",
                metavar="SET",
                help="Photographs that it did not see; by default val and test of --train.",
            ),
        ] = None,
        label: Annotated[str | None, typer.Option(help="Audit only this class.")] = None,
        size: Annotated[int | None, typer.Option(help="Side of the comparison, pixels.")] = None,
    ) -> None:
        """Looks for copied photographs and for membership; exit 3 when the gate fails.

        Of a --train set with splits only the train split counts as seen.
        """
        from hzsynth.score.audit import AuditConfig, audit_images
        from hzsynth.score.audit_page import write_audit

        config = session.resolve(AuditConfig, size=size)
        generated, photographs = open_set(fake), open_set(train)
        if holdout is None:
            unseen = photographs.replace_records(
                [record for record in photographs if record.split in ("val", "test")]
            )
        else:
            unseen = open_set(holdout)
            if unseen.has_splits and unseen.digest == photographs.digest:
                kept = [record for record in unseen if record.split in ("val", "test")]
                unseen = unseen.replace_records(kept)
        photographs = photographs.training_part()
        if label is not None:
            known_label(photographs, label)
            generated, photographs, unseen = (
                images.select(label=label) for images in (generated, photographs, unseen)
            )
        result = audit_images(
            generated,
            photographs,
            unseen,
            config,
            compute=session.compute,
            progress=session.progress,
        )
        page = write_audit(result, generated, photographs, unseen, session.output)
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
