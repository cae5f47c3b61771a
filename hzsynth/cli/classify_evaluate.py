"""hzsynth classify evaluate, compare, robustness and explain: what a classifier is worth, and why."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hzsynth.cli.arguments import RunPath, SetPath, Workers, open_set, parts
from hzsynth.cli.commands import command
from hzsynth.cli.session import Session

Split = Annotated[
    Literal["train", "val", "test", ""],
    typer.Option(help="Photographs of this split; empty for a set without."),
]


@command("evaluate")
def evaluate_run(
    session: Session,
    run: RunPath,
    images: SetPath,
    split: Split = "test",
    by: Annotated[
        str | None,
        typer.Option(help="Also by these, comma-separated: tone, source or a column of SET."),
    ] = None,
    sensitivity: Annotated[
        float | None,
        typer.Option(help="Choose the threshold that finds this share of val's target class."),
    ] = None,
) -> None:
    """Evaluates a classifier on real photographs: every metric with its interval, a page with plots."""
    from hzsynth.core.run import RunDir
    from hzsynth.stages.classify import evaluate

    evaluated = evaluate(
        RunDir.load(run),
        open_set(images),
        split=split,
        by=parts(by or ""),
        sensitivity=sensitivity,
        seed=session.root_seed,
        compute=session.compute,
    )
    result: dict[str, object] = {"run": str(run)}
    if session.out is not None:
        result["page"] = str(evaluated.write(session.out))
    result |= evaluated.to_json() if session.json else evaluated.short()
    session.show(result, "classify evaluate")


@command("compare")
def compare_runs(
    session: Session,
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Runs; the first is compared with.")
    ],
    images: Annotated[Path, typer.Option("--set", metavar="SET", help="The photographs.")],
    split: Split = "test",
    published: Annotated[
        bool, typer.Option("--published", help="Also list the published table (other data).")
    ] = False,
) -> None:
    """Puts classifiers beside one another on the same photographs: table, paired tests, page."""
    from hzsynth.classify.evaluate.comparison import compare, reference_table, verdict_of
    from hzsynth.classify.evaluate.comparison_page import write_comparison
    from hzsynth.core.run import RunDir

    out = session.output
    comparison = compare(
        [RunDir.load(run) for run in runs],
        open_set(images),
        split=split,
        compute=session.compute,
        seed=session.root_seed,
        progress=session.progress,
    )
    page = write_comparison(comparison, out, published=published)
    if session.json:
        session.show({"page": str(page), **comparison.to_json()})
        return
    verdict, _ = verdict_of(comparison)
    rows = {
        str(row.pop("model")): ", ".join(f"{key} {value:.4g}" for key, value in row.items())
        for row in reference_table(comparison).to_dict("records")
    }
    said = {"verdict": verdict} if verdict else {}
    session.show({"page": str(page), **said, **rows}, "classify compare")


@command("robustness")
def measure(
    session: Session,
    run: RunPath,
    images: SetPath,
    reference: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Network whose errors are 100 % (for CE and mCE)."),
    ] = None,
    split: Split = "test",
    tuning: Annotated[
        bool, typer.Option("--tuning", help="Also the four kinds for tuning, apart.")
    ] = False,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the corrupted photographs there (11 MB each)."),
    ] = None,
    workers: Workers = 0,
) -> None:
    """Errors under 75 corruptions (ImageNet-C's kinds), by kind and group; mCE with --reference."""
    from hzsynth.classify.evaluate.robustness import measure_robustness
    from hzsynth.classify.evaluate.robustness_page import short_robustness, write_robustness
    from hzsynth.core.run import RunDir

    paths = [run] if reference is None else [reference, run]
    result = measure_robustness(
        [RunDir.load(path) for path in paths],
        open_set(images),
        split=split,
        tuning=tuning,
        cache=cache,
        compute=session.compute,
        workers=workers,
        seed=session.root_seed,
        progress=session.progress,
    )
    shown: dict[str, object] = {"run": str(run)}
    if session.out is not None:
        shown["page"] = str(write_robustness(result, [p.name for p in paths], session.out))
    shown |= result.to_json() if session.json else short_robustness(result)
    session.show(shown, "classify robustness")


Methods = Annotated[str, typer.Option(help="grad-cam, score-cam (slow) or both, comma-separated.")]
ExplainedClass = Annotated[
    str, typer.Option("--class", help="Class to explain; default: the answer given.")
]
Most = Annotated[int, typer.Option("--most", min=1, help="Photographs of SET.")]


@command("explain")
def explain_run(
    session: Session,
    run: RunPath,
    photographs: Annotated[
        list[Path], typer.Argument(metavar="IMAGE...|SET", help="Photographs, or one set.")
    ],
    method: Methods = "grad-cam",
    label: ExplainedClass = "",
    split: Split = "test",
    most: Most = 24,
) -> None:
    """Shows where a classifier looks; with lesion masks, how much of it is the lesion."""
    from hzsynth.classify.explain.explanation import (
        explain,
        part_to_explain,
        photographs_from,
        photographs_of,
    )
    from hzsynth.classify.explain.explanation_page import summary, write_explanation
    from hzsynth.classify.models import load_classifier
    from hzsynth.core.run import RunDir

    out, started = session.output, RunDir.load(run)
    classifier = load_classifier(started)
    if len(photographs) == 1 and photographs[0].is_dir():
        part = part_to_explain(started, open_set(photographs[0]), split)
        shown = photographs_of(part, classifier.size, most)
    else:
        shown = photographs_from(photographs, classifier.size)
    methods = parts(method)
    found, heats = explain(
        classifier,
        shown,
        methods,
        label=label,
        seed=session.root_seed,
        progress=session.progress,
    )
    page = write_explanation(started.id, shown, found, heats, out)
    result: dict[str, object] = {"page": str(page)}
    if session.json:
        result["photographs"] = [entry.to_json() for entry in found]
    else:
        for name in methods:
            sentence, _, detail = summary([entry for entry in found if entry.method == name])
            result[name] = f"{sentence} {detail}"
    session.show(result, "classify explain")
