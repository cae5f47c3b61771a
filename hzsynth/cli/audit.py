"""hzsynth audit: copying and membership; exit 3 when the gate fails."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hzsynth.cli.arguments import known_label, open_set
from hzsynth.cli.session import Session, command
from hzsynth.core.errors import InputError, RefusedError

if TYPE_CHECKING:
    from hzsynth.audit.discriminator_attack import Judge
    from hzsynth.core.devices import Compute
    from hzsynth.core.image_set import ImageSet


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
        from hzsynth.audit.discriminator_attack import check_training_lists
        from hzsynth.audit.gate import AuditConfig, audit_images
        from hzsynth.audit.page import write_audit

        config = session.resolve(
            AuditConfig, size=size, label=label, gate_discriminator=gate_discriminator or None
        )
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
        judge = None if run is None else _judge(run, generated, session.compute)
        if config.gate_discriminator and judge is None:
            raise InputError("--gate-discriminator needs --run: whose discriminator is asked")
        lists = dict(generated.lineage)
        if judge is not None:
            lists[judge.run] = judge.trained_on
        remarks = check_training_lists(
            lists, photographs, unseen.records, [judge.run] if judge else []
        )
        if config.label is not None:
            known_label(photographs, config.label)
            generated, photographs, unseen = (
                images.select(label=config.label) for images in (generated, photographs, unseen)
            )
        result = audit_images(
            generated,
            photographs,
            unseen,
            config,
            compute=session.compute,
            judge=judge,
            remarks=remarks,
            progress=session.progress,
        )
        for remark in remarks:
            session.say(remark)
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


def _judge(path: Path, generated: "ImageSet", compute: "Compute") -> "Judge":
    """The discriminator of a run's last checkpoint; the score room may not know the GAN's.

    Raises:
        InputError: no GAN run, it did not make these images, or its discriminator is gone.
    """
    import torch

    from hzsynth.audit.discriminator_attack import Judge
    from hzsynth.core.checkpoint import load_checkpoint
    from hzsynth.core.run import RunDir
    from hzsynth.gan.config import GanConfig
    from hzsynth.gan.networks import build_discriminator, conditional_classes, to_float

    run = RunDir.load(path, "gan")
    if run.id not in {record.run for record in generated} | set(generated.lineage):
        raise InputError(f"none of the generated images was made by the run '{path}' ({run.id})")
    file = path / "checkpoint.safetensors"
    if not file.is_file():
        raise InputError(
            f"the run '{path}' has no discriminator any more ({file.name} is gone): audit without "
            "--run"
        )
    stored = load_checkpoint(file, "gan")
    config = GanConfig.from_sources(None, run.config)
    classes = conditional_classes(stored["state"]["labels"])
    network = build_discriminator(config, classes)
    network.load_state_dict({**network.state_dict(), **stored["state"]["discriminator"]})
    network = network.to(compute.device).eval().requires_grad_(False)

    def judged(view: torch.Tensor) -> torch.Tensor:
        # A class-conditional one is asked about every class: a member stands out in its own.
        observed = network.observe(view)
        told: list[torch.Tensor | None] = [
            torch.tensor([number], device=view.device) for number in range(classes)
        ]
        return torch.stack([network(observed, c).float().mean() for c in told or [None]]).mean()

    @torch.no_grad()
    def score(pixels: torch.Tensor) -> torch.Tensor:
        # One at a time: the residual discriminator looks at the spread within its batch.
        # With the mirror image, since half of the photographs were mirrored in training.
        scores = []
        for picture in to_float(pixels).to(compute.device).split(1):
            views = torch.cat([picture, picture.flip(3)])
            scores.append(torch.stack([judged(view) for view in views.split(1)]).mean())
        return torch.stack(scores)

    return Judge(run.id, run.training_images(), config.resolution, int(stored["step"]), score)
