"""The printable report: one A4 page a photograph, and an index; research use only.

Every page is one file with its pictures inside. It holds no file name, no hidden data of the file
and nothing else that the photograph's name might tell about a patient.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from hzsynth.classify.deploy.diagnosis import DiagnosticModel, Finding, examine
from hzsynth.classify.deploy.report_texts import ReportTexts
from hzsynth.core.errors import InputError
from hzsynth.core.files import atomic_write_text, refuse_taken_folder, replacing_folder
from hzsynth.core.progress import SILENT, Progress
from hzsynth.report.embedded_font import FAMILY, embedded_font
from hzsynth.report.page import Picture, embed_picture

INDEX = "index.html"
_MARK = "diagnostic-report"
_MOST_BARS = 5
_WRITING = ("banner", "logo")


@dataclass(frozen=True)
class Bar:
    """A class's probability as the page draws it.

    Attributes:
        name: of the class, in the page's language.
        percent: 0 to 100.
        shown: the number as written.
        target: whether it is the target class.
    """

    name: str
    percent: float
    shown: str
    target: bool


@dataclass(frozen=True)
class TrustWarning:
    """A sentence about how far the reading can be trusted.

    Attributes:
        text: the sentence.
        serious: whether it makes the reading doubtful; else it is a remark.
    """

    text: str
    serious: bool


@dataclass(frozen=True)
class Page:
    """All that a page shows of one photograph.

    Attributes:
        number: of the photograph, from 1.
        file: name of the page.
        code: of the photograph.
        picture: the photograph.
        heat_picture: the heat map.
        heat_caption: what it shows.
        bars: of the likeliest classes and the target.
        likeliest: the likeliest class's name and probability.
        verdict: whether the target class is above its threshold.
        suspicious: whether it is.
        warnings: how far the reading can be trusted.
        doubtful: whether one of them is serious.
        next_steps: what to do.
    """

    number: int
    file: str
    code: str
    picture: Picture
    heat_picture: Picture
    heat_caption: str
    bars: tuple[Bar, ...]
    likeliest: str
    verdict: str
    suspicious: bool
    warnings: tuple[TrustWarning, ...]
    doubtful: bool
    next_steps: tuple[str, ...]


def percentage(share: float) -> str:
    """A probability in [0, 1] as a page writes it: never 0% or 100%, which nobody knows."""
    if share < 0.01:
        return "<1%"
    if share > 0.99:
        return ">99%"
    return f"{share * 100:.0f}%"


def chosen_bars(finding: Finding, model: DiagnosticModel, texts: ReportTexts) -> tuple[Bar, ...]:
    """The five likeliest classes, and the target class where it is not among them."""
    target = model.facts.labels.index(model.facts.label)
    order = [int(place) for place in finding.probabilities.argsort(kind="stable")[::-1]]
    chosen = order[:_MOST_BARS]
    if target not in chosen:
        chosen.append(target)
    return tuple(
        Bar(
            name=texts.label(model.facts.labels[place]),
            percent=100 * float(finding.probabilities[place]),
            shown=percentage(float(finding.probabilities[place])),
            target=place == target,
        )
        for place in chosen
    )


def trust_warnings(finding: Finding, texts: ReportTexts) -> tuple[TrustWarning, ...]:
    """How far a reading can be trusted, the serious reasons first."""
    words, quality = texts.fixed, finding.quality
    values = {
        "width": quality.width,
        "height": quality.height,
        "skin": percentage(quality.skin_share),
        "annotated": percentage(quality.annotated_share),
        "distance": "" if finding.distance is None else f"{finding.distance:.2f}",
    }
    serious = ["unusual"] if finding.unusual else []
    serious += quality.problems
    remarks = [] if quality.problems else ["trust_ok"]
    if finding.distance is None:
        remarks.append("unusual_unknown")
    elif not finding.unusual:
        remarks.append("usual")
    if set(_WRITING) & set(quality.annotations):
        remarks.append("identity")
    return tuple(
        TrustWarning(words[key].format(**values), grave)
        for keys, grave in ((serious, True), (remarks, False))
        for key in keys
    )


def make_page(finding: Finding, number: int, model: DiagnosticModel, texts: ReportTexts) -> Page:
    """Puts a finding into words.

    Args:
        finding: of `diagnosis.examine`.
        number: of the photograph, from 1.
        model: that was asked.
        texts: the words.

    Returns:
        The page.
    """
    facts, words = model.facts, texts.fixed
    target = facts.labels.index(facts.label)
    label = texts.label(facts.label)
    probability = float(finding.probabilities[target])
    if facts.threshold is None:
        suspicious = finding.heat_class == target
        verdict = words["no_threshold"]
    else:
        suspicious = probability >= facts.threshold
        verdict = words["above" if suspicious else "below"].format(label=label)
    heat_key = "heat_empty" if finding.heat_empty else f"heat_{model.heat_method}".replace("-", "_")
    likeliest = texts.label(facts.labels[finding.heat_class])
    steps = texts.clinic.next_steps_suspicious if suspicious else texts.clinic.next_steps_other
    first = texts.clinic.next_steps_doubtful if finding.doubtful else ()
    return Page(
        number=number,
        file=f"photograph-{number:03d}.html",
        code=finding.code,
        picture=embed_picture(finding.picture),
        heat_picture=embed_picture(finding.heat_picture),
        heat_caption=words[heat_key].format(label=likeliest),
        bars=chosen_bars(finding, model, texts),
        likeliest=f"{likeliest}, {percentage(float(finding.probabilities.max()))}",
        verdict=verdict,
        suspicious=suspicious,
        warnings=trust_warnings(finding, texts),
        doubtful=finding.doubtful,
        next_steps=(*first, *steps),
    )


def _template_source(name: str) -> str:
    return (resources.files("hzsynth.classify.deploy") / "templates" / name).read_text("utf-8")


def _shared(model: DiagnosticModel, texts: ReportTexts, day: date) -> dict[str, Any]:
    """What all pages say alike."""
    facts, words = model.facts, texts.fixed
    label = texts.label(facts.label)
    if facts.calibrated_on:
        confidence = words["calibrated"].format(n=facts.calibrated_on, t=f"{facts.temperature:.2f}")
    else:
        confidence = words["uncalibrated"]
    threshold = ""
    if facts.threshold is not None:
        threshold = words["threshold"].format(label=label, p=percentage(facts.threshold))
    names = ", ".join(texts.label(name) for name in facts.labels)
    return {
        "texts": texts,
        "words": words,
        "facts": facts,
        "day": day.isoformat(),
        "confidence": confidence,
        "threshold_note": threshold,
        "classes_note": words["classes_note"].format(labels=names),
        "mark": _MARK,
        "font_family": FAMILY,
        "font_face": embedded_font(f"{texts} {facts.labels}"),
    }


def render(template: str, model: DiagnosticModel, texts: ReportTexts, day: date, **own: Any) -> str:
    """One page as HTML text that refers to nothing outside of its folder.

    Args:
        template: ``diagnostic.html.j2`` (own: page) or ``diagnostic_index.html.j2`` (own: pages).
        model: that was asked.
        texts: the words.
        day: of the report.
        **own: what the template shows.
    """
    environment = Environment(
        loader=FunctionLoader(_template_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**_shared(model, texts, day), **own)


def write_report(
    model: DiagnosticModel,
    files: Sequence[Path],
    out: Path,
    texts: ReportTexts,
    *,
    day: date,
    force: bool = False,
    progress: Progress = SILENT,
) -> tuple[Page, ...]:
    """Examines photographs and writes a page for each, and an index.

    Args:
        model: the classifier.
        files: photographs.
        out: the new folder; it appears whole or not at all.
        texts: the words.
        day: of the report.
        force: replace an earlier report at `out`.
        progress: where progress is shown.

    Returns:
        The pages, in the order of the files.

    Raises:
        InputError: no photograph, one cannot be read, or the place is taken.
    """
    if not files:
        raise InputError("a report needs at least one photograph, none was given")
    refuse_taken_folder(out, "report", _is_report, force)
    pages = []
    with progress.task("reading photographs", total=len(files), unit="img") as task:
        for number, file in enumerate(files, start=1):
            pages.append(make_page(examine(model, file), number, model, texts))
            task.advance(1)
    with replacing_folder(out) as folder:
        for page in pages:
            html = render("diagnostic.html.j2", model, texts, day, page=page)
            atomic_write_text(folder / page.file, html)
        index = render("diagnostic_index.html.j2", model, texts, day, pages=pages)
        atomic_write_text(folder / INDEX, index)
    return tuple(pages)


def _is_report(folder: Path) -> bool:
    index = folder / INDEX
    return index.is_file() and _MARK in index.read_text("utf-8", errors="replace")
