"""hzsynth score: a generated set against photographs."""

from pathlib import Path
from typing import Annotated

import typer

from hzsynth.cli.arguments import open_set
from hzsynth.cli.session import Session, command
from hzsynth.score.catalogue import METRICS


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @command(app, "score")
    def score(
        session: Session,
        real: Annotated[Path, typer.Argument(metavar="REAL", help="Photographs.")],
        fake: Annotated[Path, typer.Argument(metavar="FAKE", help="Generated images.")],
        metrics: Annotated[
            str | None,
            typer.Option(help=f"Comma-separated: {', '.join(METRICS)}."),
        ] = None,
        features: Annotated[
            str | None,
            typer.Option(
                help="efficientnet-lite0, efficientnet-lite1, efficientnet-lite2, inception, dinov2."
            ),
        ] = None,
        inception_weights: Annotated[
            Path | None, typer.Option(help="Weights file for inception features (hash-checked).")
        ] = None,
        dinov2_weights: Annotated[
            Path | None,
            typer.Option(help="Weights file for dinov2 features (small or base), stamped."),
        ] = None,
        by: Annotated[
            str | None,
            typer.Option(
                help="Also score each value of label, split, source, another column, or tone."
            ),
        ] = None,
        label: Annotated[
            str | None, typer.Option(help="Compare only this class of REAL and FAKE.")
        ] = None,
        subset_size: Annotated[int | None, typer.Option(help="Images in a KID subset.")] = None,
        cache: Annotated[
            Path | None,
            typer.Option(
                help="Folder that keeps features (HZSYNTH_CACHE or ~/.cache/hzsynth/features)."
            ),
        ] = None,
        no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep no features.")] = False,
    ) -> None:
        """Scores a generated set: KID with its real-vs-real floor, precision, tone, copies.

        With --out FILE.json the scores are also written there.
        """
        from hzsynth.core.files import atomic_write_text
        from hzsynth.score.config import ScoreConfig
        from hzsynth.score.feature_cache import default_cache_folder
        from hzsynth.stages.score import score as score_sets

        config = session.resolve(
            ScoreConfig,
            metrics=[m.strip() for m in metrics.split(",")] if metrics else None,
            features=features,
            inception_weights=inception_weights,
            dinov2_weights=dinov2_weights,
            by=by,
            subset_size=subset_size,
        )
        report = score_sets(
            open_set(real),
            open_set(fake),
            config,
            label=label,
            compute=session.compute,
            progress=session.progress,
            cache=None if no_cache else cache or default_cache_folder(),
        )
        for remark in report.remarks:
            session.say(remark)
        result = report.to_json()
        if session.out is not None:
            import json

            atomic_write_text(session.out, json.dumps(result, indent=2, ensure_ascii=False))
        if session.json:
            session.show(result)
        elif not session.quiet:
            for sentence in report.sentences():
                print(sentence)
