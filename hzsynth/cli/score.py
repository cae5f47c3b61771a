"""hzsynth score: a generated set against photographs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hzsynth.cli.arguments import open_set
from hzsynth.cli.commands import command
from hzsynth.cli.session import Session
from hzsynth.score.config import ScoreConfig

OnlyClass = Annotated[str | None, typer.Option(help="Compare only this class of REAL and FAKE.")]
Cache = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Keeps features (HZSYNTH_CACHE or ~/.cache/hzsynth/features).",
    ),
]


@command(
    "score",
    ScoreConfig,
    usual=("metrics", "features", "by", "split", "inception_weights", "dinov2_weights"),
)
def score(
    session: Session,
    real: Annotated[Path, typer.Argument(metavar="REAL", help="Photographs.")],
    fake: Annotated[Path, typer.Argument(metavar="FAKE", help="Generated images.")],
    label: OnlyClass = None,
    cache: Cache = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep no features.")] = False,
) -> None:
    """Scores a generated set: KID, precision, tone, copies, each beside what photographs alone give.

    The figures are against the val and test photographs of REAL; those against its train split, which a
    generator may have copied, stand beside them. With --out FILE.json the scores are also written there.
    """
    from hzsynth.core.files import atomic_write_text
    from hzsynth.score.feature_cache import default_cache_folder
    from hzsynth.stages.score import score as score_sets

    config = session.resolve(ScoreConfig)
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
        atomic_write_text(session.out, json.dumps(result, indent=2, ensure_ascii=False))
    if session.json:
        session.show(result)
    elif not session.quiet:
        for sentence in report.sentences():
            print(sentence)
