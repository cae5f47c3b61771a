"""hzsynth release: a bundle of accepted images that may leave an enclave, and its check."""

from pathlib import Path
from typing import Annotated

import typer

from hzsynth.cli.arguments import open_set
from hzsynth.cli.commands import command
from hzsynth.cli.session import Session
from hzsynth.core.errors import InputError
from hzsynth.release.config import ReleaseConfig

Fake = Annotated[Path | None, typer.Argument(metavar="FAKE", help="Generated images, audited.")]
AuditFolder = Annotated[
    Path | None, typer.Option(metavar="DIR", help="What `hzsynth audit` wrote.")
]
ScoreFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Of `hzsynth score --out`.")]
Runs = Annotated[
    list[Path] | None,
    typer.Option(metavar="RUN", help="A generator's run; may be repeated."),
]
Verify = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Check a bundle and do nothing else."),
]


@command("release", ReleaseConfig, usual=("name", "contact", "licence"))
def release(
    session: Session,
    fake: Fake = None,
    audit: AuditFolder = None,
    score: ScoreFile = None,
    run: Runs = None,
    verify: Verify = None,
) -> None:
    """Bundles accepted images with figures, card and checklists; exit 3 when refused.

    --force replaces an older bundle; it overrides no refusal.
    """
    from hzsynth.core.run import RunDir
    from hzsynth.release.check import verify_release

    if verify is not None:
        session.show({"release": str(verify), "files checked": verify_release(verify)})
        return
    from hzsynth.release.bundle import release_images

    config = session.resolve(ReleaseConfig)
    if fake is None or audit is None:
        raise InputError("a release needs `fake` and `audit` DIR (or `verify` DIR alone)")
    facts = release_images(
        open_set(fake),
        audit,
        session.output,
        config,
        score_file=score,
        runs=[RunDir.load(path) for path in run or []],
        force=session.force,
        progress=session.progress,
    )
    verify_release(session.output)
    session.show(
        {
            "release": str(session.output),
            "images": facts.released,
            "left out": facts.left_out,
            "classes": facts.classes,
        },
        "release",
    )
