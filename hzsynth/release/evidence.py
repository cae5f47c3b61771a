"""What may be told about a generated set: figures picked one by one from audit, scores and runs.

Nothing is copied over as it stands: reports inside an enclave name files, patients and digests
of photographs, and whoever holds a photograph can look its digest up.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hzsynth.audit.config import AuditConfig
from hzsynth.audit.page import FIGURES
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.run import RunDir

_NEARNESS = ("near", "count", "share", "p_near", "c_t", "z_c_t", "p_c_t", "noticeable", "authentic")
_MEMBERSHIP = ("auc", "low", "high", "z", "tpr", "members", "others", "control", "control_spread")
_SCORE = (
    *("value", "spread", "floor", "floor_spread", "at_floor", "against_training", "p_adjusted"),
    *("n_real", "n_fake", "n_training", "n_floor", "size", "subset_size"),
)
_LEANING = ("share", "p", "high", "train", "held_out")
_GATE = (
    "quantile",
    "most_near",
    "level",
    "most_leaning",
    "lowest_c_t",
    "most_auc",
    "most_dropped",
    "least_found",
)
_WORD = re.compile(r"[a-z0-9][a-z0-9_+-]{0,39}")


@dataclass(frozen=True)
class Evidence:
    """Figures that may leave.

    Attributes:
        audit: verdict, counts, settings of the gate, figures by space and of the discriminator.
        scores: fidelity and utility figures; empty without a score file.
        generators: kind, number of photographs and patients, and settings of each run.
    """

    audit: dict[str, Any]
    scores: tuple[dict[str, Any], ...]
    generators: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Audit:
    """A stored audit, as the release needs it.

    Attributes:
        figures: the whole file; stays inside.
        digest: sha256 of the file, which ties the bundle to it.
        label: the class that was audited; None for all.
        dropped: sha256 of images that must not be used.
    """

    figures: dict[str, Any]
    digest: str
    label: str | None
    dropped: frozenset[str]


def read_audit(folder: Path) -> Audit:
    """Reads ``audit.json`` and refuses a set that did not pass.

    Raises:
        InputError: there is no audit, or it was written before audits kept digests.
        RefusedError: the gate failed, also without the listed images.
    """
    path = folder / FIGURES
    values, data = _read_json(path, "an audit")
    try:
        passed = bool(values["passed"]) and not values["failures"]
        passes = passed or values["passes_without_dropped"] is True
        audit = Audit(
            values,
            hashlib.sha256(data).hexdigest(),
            values["config"]["label"],
            frozenset(values["dropped"]),
        )
        values["digests"]["fake"], values["counts"]["train"], values["spaces"]
        values["found_from"], values["doubts"]
    except (KeyError, TypeError) as error:
        raise InputError(
            f"'{path}' lacks {error}: repeat `hzsynth audit` with this version"
        ) from error
    if not passes:
        raise RefusedError(
            f"the audit '{folder}' failed its gate, also without the images on its drop list: "
            "nothing is released"
        )
    return audit


def gather_evidence(
    audit: Audit, fake: ImageSet, score_file: Path | None, runs: Sequence[RunDir]
) -> Evidence:
    """Picks the figures that may leave.

    Args:
        audit: the audit.
        fake: the audited images.
        score_file: what ``hzsynth score --out`` wrote about the same images, or None.
        runs: the generators' runs.

    Returns:
        The figures.

    Raises:
        InputError: the scores are of other images, or a run did not make these.
    """
    scores = () if score_file is None else _scores(score_file, fake)
    made_by = {record.run for record in fake} | set(fake.lineage)
    for run in runs:
        if run.id not in made_by:
            raise InputError(f"none of the images was made by the run '{run.path}' ({run.id})")
    return Evidence(_audit_figures(audit), scores, tuple(_generator(run) for run in runs))


def _audit_figures(audit: Audit) -> dict[str, Any]:
    values = audit.figures
    usual = AuditConfig().model_dump(mode="json")
    gate = _numbers(values["config"], _GATE)
    attack = values.get("discriminator")
    figures: dict[str, Any] = {
        "passed": bool(values["passed"]),
        "passes_without_dropped": bool(values["passed"]) or bool(values["passes_without_dropped"]),
        "light": _light(values),
        "counts": _numbers(values["counts"], ("fake", "train", "held_out", "held_out_patients")),
        "found_from": _numbers(values, ("found_from",)).get("found_from"),
        "doubts": len(values["doubts"]),
        "dropped": len(audit.dropped),
        "perceptual_copies": _numbers(values, ("perceptual_copies",))["perceptual_copies"],
        "gate": gate,
        "changed_gate_settings": [key for key in _GATE if gate.get(key) != usual[key]],
        "spaces": {
            name: {
                **_numbers(found, _NEARNESS),
                "membership": _numbers(found["membership"], _MEMBERSHIP),
                "leaning": _numbers(found["leaning"], _LEANING),
                "passed": not found["failures"],
            }
            for name, found in values["spaces"].items()
            if _WORD.fullmatch(name)
        },
        "audit_json_sha256": audit.digest,
    }
    if attack is not None:
        figures["discriminator"] = {
            "gates": bool(attack["gates"]),
            "membership": _numbers(attack["membership"], _MEMBERSHIP),
        }
    return figures


def _light(values: Mapping[str, Any]) -> str:
    """Green where the gate passes with all images and without doubts; else amber: red is not released."""
    return "green" if values["passed"] and not values["doubts"] else "amber"


def _scores(path: Path, fake: ImageSet) -> tuple[dict[str, Any], ...]:
    values, _ = _read_json(path, "a score")
    try:
        found = []
        for score in values["scores"]:
            if score["fake_digest"] != fake.digest:
                raise InputError(
                    f"'{path}' scores other images than `fake` (or another class of them): "
                    "repeat `hzsynth score`"
                )
            words = {k: score[k] for k in ("metric", "extractor", "better") if _is_word(score[k])}
            found.append({**words, **_numbers(score, _SCORE)})
    except (KeyError, TypeError) as error:
        raise InputError(f"'{path}' is not what `hzsynth score --out` writes: {error}") from error
    return tuple(found)


def _generator(run: RunDir) -> dict[str, Any]:
    images = [image for image in run.training_images() if image.role == "learned"]
    return {
        "kind": run.kind,
        "training_photographs": len(images),
        "training_patients": len({image.group for image in images if image.group}),
        "settings": {
            key: value
            for key, value in sorted(run.config.items())
            if isinstance(value, (bool, int, float)) or _is_word(value)
        },
    }


def _is_word(value: object) -> bool:
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def _numbers(values: Mapping[str, Any], keys: Sequence[str]) -> dict[str, float | int | None]:
    """The named figures; whatever is no number does not leave."""
    kept = {}
    for key in keys:
        value = values.get(key)
        if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            kept[key] = value
    return kept


def _read_json(path: Path, what: str) -> tuple[dict[str, Any], bytes]:
    try:
        data = path.read_bytes()
        values = json.loads(data)
    except OSError as error:
        raise InputError(f"there is no {what.split()[-1]} '{path}': {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"'{path}' is not {what}: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"'{path}' is not {what}")
    return values, data
