"""One vocabulary of class names for several data sets, and whether zoster means zoster.

A class map renames or drops classes. The check of the target class knows what herpes zoster is
called in the published sets, and which names only look like it: herpes simplex and varicella
come from other viruses or another course of the same one, and pemphigoid gestationis ("herpes
gestationis") is no infection at all.
"""

import csv
import io
import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hzsynth.core.errors import InputError
from hzsynth.data.sources.base import Found, SourceImage

ORIGINAL_LABEL = "original_label"
"""Extra column: the class name in the data set, where the class map changed it."""
REST = "*"
"""In a class map: every class that is not named."""

_ZOSTER = (
    "herpes zoster", "zoster", "shingles", "vi shingles", "herpes zoster shingles",
    "대상포진", "zona", "herpes zoster ophthalmicus", "ophthalmic zoster",
)  # fmt: skip
_NEIGHBOURS = {
    "herpes simplex": "another virus",
    "hsv": "herpes simplex, another virus",
    "varicella": "the same virus, another disease",
    "chickenpox": "varicella",
    "chicken pox": "varicella",
    "gestationis": "pemphigoid gestationis, no infection",
    "eczema herpeticum": "herpes simplex on eczema",
    "herpetiformis": "dermatitis herpetiformis, no infection",
    "herpangina": "another virus",
    "단순포진": "herpes simplex, another virus",
    "수두": "varicella",
}


def normal_form(label: str) -> str:
    """A label without case, accents of writing and punctuation, for comparing names."""
    text = unicodedata.normalize("NFKC", label).casefold()
    return " ".join(re.sub(r"[\W_]+", " ", text).split())


def means_zoster(label: str) -> bool:
    """Whether a class name is one of those that published sets use for herpes zoster."""
    return normal_form(label) in _ZOSTER


def zoster_neighbour(label: str) -> str:
    """Why a class name that resembles herpes zoster is something else; empty when it does not."""
    form = normal_form(label)
    for name, reason in _NEIGHBOURS.items():
        if re.search(rf"(^| ){name}( |$)", form) or (not name.isascii() and name in form):
            return reason
    return ""


def read_class_map(path: Path) -> dict[str, str]:
    """Reads a class map.

    Args:
        path: TOML, a table ``[classes]`` of ``"name in the data set" = "name"``; or CSV with the
            columns ``from`` and ``to``. An empty name drops the class, and ``*`` stands for
            every class that is not named.

    Returns:
        Name in the data set -> name.

    Raises:
        InputError: the file cannot be read, or is no class map.
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp949", errors="replace")
    except OSError as error:
        raise InputError(f"cannot read the class map '{path}': {error.strerror}") from error
    if path.suffix.casefold() == ".csv":
        return _from_csv(path, text)
    try:
        classes = tomllib.loads(text).get("classes")
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"the class map '{path}' is not valid TOML: {error}") from error
    if not isinstance(classes, dict) or not all(isinstance(v, str) for v in classes.values()):
        raise InputError(f'the class map \'{path}\' has no table [classes] of "from" = "to"')
    return {_composed(key): _composed(value) for key, value in classes.items()}


def _from_csv(path: Path, text: str) -> dict[str, str]:
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows or not {"from", "to"} <= set(rows[0]):
        raise InputError(f"the class map '{path}' has no columns 'from' and 'to'")
    return {_composed(row["from"] or ""): _composed(row["to"] or "") for row in rows}


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def apply_class_map(found: Found, classes: Mapping[str, str]) -> Found:
    """Renames and drops classes.

    Args:
        found: what a source found.
        classes: see `read_class_map`; a class that is not named keeps its name.

    Returns:
        The images that are left; those of a renamed class say in `ORIGINAL_LABEL` what they were.

    Raises:
        InputError: the map names a class that is not there, or nothing is left.
    """
    known = {image.label for image in found.images}
    for name in classes:
        if name not in known and name != REST:
            raise InputError(
                f"the class map names the class '{name}', which is not there; it has "
                f"{', '.join(sorted(known))}"
            )
    kept, dropped = [], Counter[str]()
    for image in found.images:
        name = classes.get(image.label, classes.get(REST, image.label))
        if name:
            kept.append(_renamed(image, name))
        else:
            dropped[image.label] += 1
    if not kept:
        raise InputError("the class map drops every class")
    remarks = [
        f"the class map dropped {count} images of '{label}'"
        for label, count in sorted(dropped.items())
    ]
    return replace(found, images=tuple(kept), remarks=(*found.remarks, *remarks))


def _renamed(image: SourceImage, label: str) -> SourceImage:
    if label == image.label:
        return image
    original = image.extra.get(ORIGINAL_LABEL, image.label)
    return replace(image, label=label, extra={**image.extra, ORIGINAL_LABEL: original})


def check_target(images: Sequence[SourceImage], target: str) -> tuple[str, ...]:
    """Checks what the images of the target class were called in their data sets.

    Args:
        images: after the class map.
        target: the target class.

    Returns:
        Remarks: names that are not known to mean the target class, and images outside of it
        whose name does mean it.

    Raises:
        InputError: there is no such class, or a neighbour of zoster is in it.
    """
    names = Counter((image.label, image.extra.get(ORIGINAL_LABEL, image.label)) for image in images)
    labels = sorted({label for label, _ in names})
    if target not in labels:
        raise InputError(f"`target` '{target}' is not a class; there are {', '.join(labels)}")
    if not any(means_zoster(name) for name in (target, *(n for la, n in names if la == target))):
        # Another disease is the target: nothing is known about its neighbours.
        return ()
    remarks = []
    for (label, name), count in sorted(names.items()):
        reason = zoster_neighbour(name)
        if label == target and reason:
            raise InputError(
                f"{count} images of `target` '{target}' are '{name}' in their data set, which is "
                f"{reason}; leave them out with a class map"
            )
        if label == target and not means_zoster(name):
            remarks.append(f"{count} images of '{target}' are '{name}' in their data set: check it")
        if label != target and means_zoster(name):
            remarks.append(f"{count} images named '{name}' are in the class '{label}'")
    return tuple(remarks)
