"""hzsynth build-dataset: a training set at a ratio of synthetic to real images."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from hzsynth.augment.config import BuildConfig
from hzsynth.cli.arguments import Workers, open_set
from hzsynth.cli.commands import command
from hzsynth.cli.session import Session
from hzsynth.score.config import Filter

Synthetic = Annotated[
    list[Path] | None, typer.Option(metavar="SET", help="Generated images; may be repeated.")
]
DropList = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Text: sha256 or names of synthetic images not to be used."),
]
Keep = Annotated[
    Filter,
    typer.Option(
        "--filter", help="Which synthetic images are kept: plausible, authentic, both; or all."
    ),
]
Described = Annotated[
    bool,
    typer.Option(help="Probe how easily synthetic images are told; audit/mixture.json."),
]


@command(
    "build-dataset",
    BuildConfig,
    usual=(
        *("label", "ratio", "multiplier", "balance", "arm", "mix", "mix_classes", "strategies"),
        *("strength", "size", "synthetic_classes", "weights", "write_augmented"),
    ),
)
def build(
    session: Session,
    real: Annotated[
        Path, typer.Argument(metavar="REAL", help="Photographs with a train/val/test split.")
    ],
    synthetic: Synthetic = None,
    drop: DropList = None,
    keep: Keep = "none",
    report: Described = True,
    workers: Workers = 0,
) -> None:
    """Fills the target class with real and synthetic images, varied while training; proves lineage."""
    from hzsynth.core.image_set_writer import refuse_existing
    from hzsynth.stages.build_dataset import SHEET, build_dataset, mixture_sentence, read_drop_list

    config = session.resolve(BuildConfig)
    refuse_existing(session.output, session.force)
    built = build_dataset(
        open_set(real),
        [open_set(path) for path in synthetic or []],
        config,
        session.output,
        dropped=frozenset() if drop is None else read_drop_list(drop),
        keep=keep,
        describe=report,
        compute=session.compute,
        workers=workers,
        force=session.force,
        say=session.say,
        progress=session.progress,
    )
    target = built.select("train", config.label).records
    shown: dict[str, object] = {
        "set": str(built.root),
        **{split: len(built.select(split)) for split in ("train", "val", "test")},
        f"{config.label} in train": dict(Counter(r.origin for r in target)),
        "views of them in a pass": sum(r.views for r in target),
    }
    if report:
        shown |= {"mixture": mixture_sentence(built), "sheet": str(built.root / SHEET)}
    session.show(shown, f"build-dataset at ratio {config.ratio:g}")
