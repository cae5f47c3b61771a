"""hzsynth weights: which pretrained weights are here, and whether they are the right ones."""

from hzsynth.cli.session import Session, command, group
from hzsynth.core.errors import InputError
from hzsynth.core.weights import KNOWN_WEIGHTS, find_weights, locate_weights, weights_folder

app = group("Pretrained weights: where they are, and whether they are the right files.")


@command(app, "list")
def list_weights(session: Session) -> None:
    """Shows every known weights file, what it serves, and whether it is on this machine."""
    result = {}
    for entry in KNOWN_WEIGHTS:
        place = locate_weights(entry)
        result[entry.name] = {
            "file": entry.file,
            "here": str(place) if place else "no",
            "use": entry.use,
            "source": entry.source,
        }
    session.show({**result, "weights folder": str(weights_folder())}, "Pretrained weights")


@command(app, "verify")
def verify(session: Session) -> None:
    """Compares the hash of every weights file on this machine with the published one."""
    found = [entry for entry in KNOWN_WEIGHTS if locate_weights(entry)]
    if not found:
        raise InputError("none of the known weights files is on this machine; see: weights list")
    session.show({entry.name: f"{find_weights(entry.name)}: right" for entry in found})
