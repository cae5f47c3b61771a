"""The words of the report, in English and Korean, and those of them that a clinic may replace."""

import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from hzsynth.core.config import Config
from hzsynth.core.errors import InputError

LANGUAGES = ("en", "ko")
Language = Literal["en", "ko"]

STATEMENTS: dict[str, str] = {
    "en": "Research use only. This is not a diagnosis and not a medical device: a physician decides "
    "after seeing the patient.",
    "ko": "연구용으로만 사용하십시오. 이 결과는 진단이 아니며, 이 프로그램은 의료기기가 아닙니다. "
    "진단은 의사가 환자를 직접 진찰한 뒤 내립니다.",
}
"""Stands at the head and foot of every page. It is no text that a file could replace."""


class ClinicTexts(Config):
    """What a clinic may write itself; everything else in the report is fixed."""

    clinic: str = Field("", max_length=120, description="Name at the head of the page.")
    contact: str = Field("", max_length=200, description="Whom to call.")
    next_steps_suspicious: tuple[str, ...] = Field(
        (), max_length=6, description="Above the threshold (or likeliest, without one)."
    )
    next_steps_other: tuple[str, ...] = Field((), max_length=6, description="Otherwise.")
    next_steps_doubtful: tuple[str, ...] = Field(
        (), max_length=6, description="First of all where the photograph is doubtful."
    )


@dataclass(frozen=True)
class ReportTexts:
    """All words of a report.

    Attributes:
        language: en or ko.
        statement: one of `STATEMENTS`.
        clinic: the clinic's part.
        fixed: name -> text; some hold places such as ``{label}``.
        labels: class name -> its name in this language.
    """

    language: Language
    statement: str
    clinic: ClinicTexts
    fixed: dict[str, str]
    labels: dict[str, str]

    def label(self, name: str) -> str:
        """A class's name as people write it."""
        return self.labels.get(name, name.replace("_", " "))


def load_texts(language: str, file: Path | None = None, target: str = "") -> ReportTexts:
    """Reads the words of a report.

    Args:
        language: one of `LANGUAGES`.
        file: TOML with any of the keys of `ClinicTexts`, or None.
        target: the target class, which may have next steps of its own.

    Returns:
        The words.

    Raises:
        InputError: another language, or the file cannot be read or has an unknown key.
    """
    if language not in LANGUAGES:
        raise InputError(f"`language` is {' or '.join(LANGUAGES)}, not '{language}'")
    source = resources.files("hzsynth.classify.deploy") / "templates" / f"texts_{language}.toml"
    stored: dict[str, Any] = tomllib.loads(source.read_text("utf-8"))
    own = {} if file is None else ClinicTexts.from_sources(file).model_dump(exclude_unset=True)
    usual = {**stored["clinic"], **stored["targets"].get(target, {})}
    return ReportTexts(
        language="ko" if language == "ko" else "en",
        statement=STATEMENTS[language],
        clinic=ClinicTexts.from_sources(None, {**usual, **own}),
        fixed=stored["fixed"],
        labels=stored["labels"],
    )
