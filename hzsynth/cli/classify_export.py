"""hzsynth classify export and report: an ONNX file for the clinic, printable pages a photograph."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hzsynth.classify.deploy.config import ExportConfig
from hzsynth.cli.arguments import RunPath, open_set
from hzsynth.cli.commands import command
from hzsynth.cli.session import Session
from hzsynth.cli.words import counted

CalibrationSet = Annotated[
    Path | None,
    typer.Option(
        metavar="SET",
        help="A set with splits: val gives temperature and threshold, train what is usual.",
    ),
]


@command("export", ExportConfig, usual=("int8", "tolerance", "threads"))
def export(
    session: Session,
    run: RunPath,
    calibrate: CalibrationSet = None,
) -> None:
    """Writes a classifier as ONNX, with calibrated probabilities and a model card.

    Nothing is written when the file would answer differently from the network.
    """
    from hzsynth.classify.deploy.export import export_classifier
    from hzsynth.core.run import RunDir

    config = session.resolve(ExportConfig)
    result = export_classifier(
        RunDir.load(run),
        session.output,
        config,
        None if calibrate is None else open_set(calibrate),
        force=session.force,
        progress=session.progress,
    )
    values = result.to_json()
    session.show(
        {"out": str(session.output), **(values if session.json else _short(values))},
        "classify export",
    )


def _short(values: dict[str, object]) -> dict[str, object]:
    """What a person reads of an export; the rest is in the model card."""
    facts, models = values["facts"], values["models"]
    assert isinstance(facts, dict)
    assert isinstance(models, (list, tuple))
    shown: dict[str, object] = {
        m["file"]: f"{m['megabytes']:.2f} MB, {m['latency']['median_ms']:.2f} ms "
        f"(p95 {m['latency']['p95_ms']:.2f}, {counted(m['latency']['threads'], 'thread')})"
        for m in models
    }
    shown["max |dp| against torch"] = (
        f"{values['largest_difference']:.1e} on {values['checked_images']} {values['checked_on']}"
    )
    calibrated = f"{facts['temperature']:.3f} (fitted on {facts['calibrated_on']} photographs)"
    shown["temperature"] = calibrated if facts["calibrated_on"] else "1 (not calibrated)"
    shown["threshold"] = "none" if facts["threshold"] is None else f"{facts['threshold']:.3f}"
    int8 = values["int8"]
    if isinstance(int8, dict):
        shown["int8"] = (
            f"accuracy {int8['accuracy_fp32']:.3f} -> {int8['accuracy_int8']:.3f}, F1 "
            f"{int8['f1_target_fp32']:.3f} -> {int8['f1_target_int8']:.3f}, mean |dp| "
            f"{int8['mean_difference']:.4f} (n = {int8['images']})"
        )
    return shown


Model = Annotated[
    Path,
    typer.Argument(metavar="RUN|ONNX", help="A run, an export or its ONNX file."),
]
Photographs = Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Photographs.")]
Language = Annotated[Literal["en", "ko"], typer.Option(help="Of the pages.")]
Texts = Annotated[
    Path | None, typer.Option(metavar="FILE.toml", help="The clinic's own next steps.")
]


@command("report")
def report(
    session: Session,
    model: Model,
    files: Photographs,
    language: Language = "en",
    texts: Texts = None,
    calibrate: CalibrationSet = None,
) -> None:
    """Writes a printable page for every photograph. Research use only, not a diagnosis."""
    from datetime import date

    from hzsynth.classify.deploy.diagnosis import open_model
    from hzsynth.classify.deploy.report_page import write_report
    from hzsynth.classify.deploy.report_texts import load_texts

    load_texts(language, texts)  # a wrong word is refused before anything long is done
    out = session.output
    opened = open_model(model, None if calibrate is None else open_set(calibrate))
    words = load_texts(language, texts, opened.facts.label)
    pages = write_report(
        opened,
        files,
        out,
        words,
        day=date.today(),
        force=session.force,
        progress=session.progress,
    )
    rows: list[dict[str, Any]] = [
        {
            "file": str(file),
            "page": page.file,
            "code": page.code,
            "likeliest": page.likeliest,
            "suspicious": page.suspicious,
            "warnings": [warning.text for warning in page.warnings if warning.serious],
        }
        for file, page in zip(files, pages, strict=True)
    ]
    session.show(
        {"out": str(out), "use": words.statement, "photographs": rows}
        if session.json
        else {"index": str(out / "index.html"), **{r["page"]: r["likeliest"] for r in rows}},
        "classify report",
    )
