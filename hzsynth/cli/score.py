"""hzsynth score: a generated set against photographs."""

from pathlib import Path
from typing import Annotated

import typer

from hzsynth.cli.arguments import open_set
from hzsynth.cli.session import Session, command


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @command(app, "score")
    def score(
        session: Session,
        real: Annotated[Path, typer.Argument(metavar="REAL", help="Photographs.")],
        fake: Annotated[Path, typer.Argument(metavar="FAKE", help="Generated images.")],
        metrics: Annotated[
            str | None,
            typer.Option(help="Comma-separated: kid,fid,frechet,prdc,vendi,tone,memorisation."),
        ] = None,
        features: Annotated[
            str | None,
            typer.Option(
                help="efficientnet-lite0, efficientnet-lite1, efficientnet-lite2, inception."
            ),
        ] = None,
        inception_weights: Annotated[
            Path | None, typer.Option(help="Weights file for inception features (hash-checked).")
        ] = None,
        label: Annotated[
            str | None, typer.Option(help="Compare only this class of REAL and FAKE.")
        ] = None,
        subset_size: Annotated[int | None, typer.Option(help="Images in a KID subset.")] = None,
    ) -> None:
        """Scores a generated set: KID with its real-vs-real floor, precision, tone, copies.

        With --out FILE.json the scores are also written there.
        """
        from hzsynth.cli.arguments import known_label
        from hzsynth.core.files import atomic_write_text
        from hzsynth.score.scoring import ScoreConfig, score_images

        config = session.resolve(
            ScoreConfig,
            metrics=metrics.split(",") if metrics else None,
            features=features,
            inception_weights=inception_weights,
            subset_size=subset_size,
        )
        photographs, generated = open_set(real), open_set(fake)
        if label is not None:
            photographs = photographs.select(label=known_label(photographs, label))
            generated = generated.select(label=known_label(generated, label))
        report = score_images(
            photographs, generated, config, compute=session.compute, progress=session.progress
        )
        result = report.to_json()
        if session.out is not None:
            import json

            atomic_write_text(session.out, json.dumps(result, indent=2, ensure_ascii=False))
        if session.json:
            session.show(result)
        elif not session.quiet:
            for sentence in report.sentences():
                print(sentence)
