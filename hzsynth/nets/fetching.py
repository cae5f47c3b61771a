"""Pretrained weights of timm's models, brought here because the user asked for it.

Nothing else in hzsynth opens a connection. A file is checked against the hash that its publisher
states (at the end of its name, as torch hub has it, or in the answer's ``X-Linked-Etag``), opened
without running code, and written down with its hash, by which it is known again.
"""

import hashlib
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import timm

from hzsynth.core.errors import InputError
from hzsynth.core.files import atomic_write_text, replacing
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.weights import file_sha256, load_state_dict, weights_folder
from hzsynth.nets.names import timm_name

RECORD = "fetched.json"
_HUB = "https://huggingface.co/{}/resolve/main/model.safetensors"
_STATED = re.compile(r"-([0-9a-f]{8,64})\.(?:pth|pt|safetensors)$")
_CHUNK, _TIMEOUT_SECONDS = 1 << 20, 60
_LARGEST = 4 << 30
Open = Callable[[str], Any]


@dataclass(frozen=True)
class Fetched:
    """A weights file that was brought here.

    Attributes:
        model: timm's name.
        file: its name in the weights folder.
        sha256: of the file.
        url: where it came from.
        licence: of the weights, as far as timm states it.
    """

    model: str
    file: str
    sha256: str
    url: str
    licence: str


def fetched_weights() -> dict[str, Fetched]:
    """What was fetched, by model.

    Raises:
        InputError: the record is damaged.
    """
    path = weights_folder() / RECORD
    if not path.is_file():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {name: Fetched(**row) for name, row in rows.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"'{path}' is damaged ({error}): remove it and fetch again") from error


def find_fetched(model: str) -> Path | None:
    """The verified weights file of a model, or None when none was fetched.

    Raises:
        InputError: the file was changed or removed since.
    """
    entry = fetched_weights().get(model)
    if entry is None:
        return None
    path = weights_folder() / entry.file
    if not path.is_file():
        raise InputError(f"'{path}' was fetched and is gone: hzsynth weights fetch {model}")
    if file_sha256(path) != entry.sha256:
        raise InputError(f"'{path}' is not the file that was fetched: fetch {model} again")
    return path


def source_of(model: str) -> tuple[str, str, str]:
    """Where a model's ImageNet weights lie: URL, stated hash (a prefix, or empty) and licence.

    Raises:
        InputError: timm does not know the model, or has no weights of it.
    """
    name = timm_name(model)
    if not timm.is_model(name):
        raise InputError(f"model '{model}' is not known to timm; nothing can be fetched for it")
    config = timm.get_pretrained_cfg(name)
    licence = (getattr(config, "license", None) if config else None) or "not stated"
    url = config.url if config else None
    stated = _STATED.search(url) if isinstance(url, str) else None
    if isinstance(url, str) and stated:
        return url, stated[1], str(licence)
    if config is not None and config.hf_hub_id:
        return _HUB.format(config.hf_hub_id), "", str(licence)
    raise InputError(f"timm knows no weights of '{model}' whose hash is stated")


def _opened(url: str) -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": "hzsynth"})
    return urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)


def fetch_weights(
    model: str, *, force: bool = False, open_url: Open = _opened, progress: Progress = SILENT
) -> Fetched:
    """Brings a model's ImageNet weights into the weights folder.

    Args:
        model: a timm model.
        force: fetch again what is here.
        open_url: gives the answer to a request, as `urllib.request.urlopen` does.
        progress: where progress is shown.

    Returns:
        What was fetched.

    Raises:
        InputError: unknown model, no connection, another hash than stated, no stated hash, or a
            file that holds more than tensors. Nothing is left behind then.
    """
    if not force and find_fetched(model) is not None:
        return fetched_weights()[model]
    url, stated, licence = source_of(model)
    folder = weights_folder()
    target = folder / f"{model}{Path(url).suffix}"
    try:
        with open_url(url) as answer, replacing(target) as partial:
            linked = str(answer.headers.get("X-Linked-Etag") or "").strip('"')
            expected = stated or (linked if re.fullmatch(r"[0-9a-f]{64}", linked) else "")
            if not expected:
                raise InputError(f"{url} states no hash, so that its file cannot be verified")
            digest = _copied(answer, partial, model, progress)
            if not digest.startswith(expected):
                raise InputError(
                    f"the file of {url} has sha256 {digest[:16]}..., expected {expected[:16]}"
                )
            suffixed = partial.with_name(partial.name + target.suffix)
            partial.rename(suffixed)
            try:
                load_state_dict(suffixed)  # what runs code is refused before it has a name
            finally:
                suffixed.rename(partial)
    except urllib.error.URLError as error:
        raise InputError(f"cannot fetch {url}: {error.reason}") from error
    except TimeoutError as error:
        raise InputError(f"cannot fetch {url}: no answer in {_TIMEOUT_SECONDS} s") from error
    entry = Fetched(model, target.name, digest, url, licence)
    rows = {**fetched_weights(), model: entry}
    text = json.dumps({name: asdict(row) for name, row in rows.items()}, indent=2)
    atomic_write_text(folder / RECORD, text)
    return entry


def _copied(answer: Any, target: Path, model: str, progress: Progress) -> str:
    hasher, size = hashlib.sha256(), 0
    total = int(answer.headers.get("Content-Length") or 0)
    with (
        target.open("wb") as file,
        progress.task(f"fetching {model}", total=max(total, 1) / 2**20, unit="MB") as task,
    ):
        while chunk := answer.read(_CHUNK):
            size += len(chunk)
            if size > _LARGEST:
                raise InputError(f"the weights of '{model}' are larger than {_LARGEST >> 30} GB")
            hasher.update(chunk)
            file.write(chunk)
            task.advance(len(chunk) / 2**20)
    return hasher.hexdigest()
