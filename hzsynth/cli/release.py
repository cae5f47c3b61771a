"""hzsynth release: a bundle of accepted images that may leave an enclave, and its check."""

from pathlib import Path
from typing import Annotated

import typer

from hzsynth.cli.arguments import open_set
from hzsynth.cli.session import Session, command
from hzsynth.core.errors import InputError


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @command(app, "release")
    def release(
        session: Session,
        fake: Annotated[
            Path | None, typer.Argument(metavar="FAKE", help="Generated images, audited.")
        ] = None,
        audit: Annotated[
            Path | None, typer.Option("--audit", metavar="DIR", help="What `hzsynth audit` wrote.")
        ] = None,
        score: Annotated[
            Path | None, typer.Option("--score", metavar="FILE", help="Of `hzsynth score --out`.")
        ] = None,
        run: Annotated[
            list[Path] | None,
            typer.Option("--run", metavar="RUN", help="A generator's run; may be repeated."),
        ] = None,
        name: Annotated[str | None, typer.Option(help="Title of the bundle.")] = None,
        contact: Annotated[str | None, typer.Option(help="Who answers questions.")] = None,
        licence: Annotated[str | None, typer.Option(help="Terms of use.")] = None,
        verify: Annotated[
            Path | None,
            typer.Option("--verify", metavar="DIR", help="Check a bundle and do nothing else."),
        ] = None,
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
        from hzsynth.release.config import ReleaseConfig

        config = session.resolve(ReleaseConfig, name=name, contact=contact, licence=licence)
        if fake is None or audit is None:
            raise InputError("a release needs FAKE and --audit DIR (or --verify DIR alone)")
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
