"""hzsynth weights: which pretrained weights are here, and whether they are the right ones."""

from typing import Annotated

import typer

from hzsynth.cli.commands import command, group
from hzsynth.cli.session import Session
from hzsynth.core.errors import InputError


@command("list")
def list_weights(session: Session) -> None:
    """Shows every known weights file, what it serves, and whether it is on this machine."""
    from hzsynth.core.weights import KNOWN_WEIGHTS, locate_weights, weights_folder
    from hzsynth.nets.fetching import fetched_weights

    result = {}
    for entry in KNOWN_WEIGHTS:
        place = locate_weights(entry)
        result[entry.name] = {
            "file": entry.file,
            "here": str(place) if place else "no",
            "use": entry.use,
            "source": entry.source,
        }
    for name, fetched in fetched_weights().items():
        result[name] = {
            "file": fetched.file,
            "here": str(weights_folder() / fetched.file),
            "use": "transfer learning",
            "source": f"{fetched.url} ({fetched.licence})",
        }
    session.show({**result, "weights folder": str(weights_folder())}, "Pretrained weights")


@command("verify")
def verify(session: Session) -> None:
    """Compares the hash of every weights file on this machine with the published one."""
    from hzsynth.core.weights import KNOWN_WEIGHTS, find_weights, locate_weights
    from hzsynth.nets.fetching import fetched_weights, find_fetched

    places = {e.name: find_weights(e.name) for e in KNOWN_WEIGHTS if locate_weights(e)}
    places |= {name: path for name in fetched_weights() if (path := find_fetched(name))}
    if not places:
        raise InputError("none of the known weights files is on this machine; see: weights list")
    session.show({name: f"{path}: right" for name, path in places.items()})


@command("fetch")
def fetch(
    session: Session,
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Models of timm.")],
) -> None:
    """Downloads ImageNet weights, checks their hash, and keeps them for --pretrained imagenet.

    The one command that opens a connection.
    """
    from hzsynth.core.weights import weights_folder
    from hzsynth.nets.fetching import fetch_weights

    result = {}
    for model in models:
        entry = fetch_weights(model, force=session.force, progress=session.progress)
        result[model] = f"{weights_folder() / entry.file} ({entry.licence})"
    session.show(result, "weights fetch")


app = group(
    "Pretrained weights: where they are, and whether they are the right files.",
    list_weights,
    verify,
    fetch,
)
