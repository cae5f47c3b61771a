"""Checkpoints: any nesting of tensors and plain values in one safetensors file.

The tensors are stored as they are; the rest becomes JSON in the file's header, beside a
format number and the kind of state. Nothing is pickled, so a checkpoint from a stranger
cannot run code.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from hzsynth.core.errors import InputError
from hzsynth.core.files import replacing

FORMAT = 1
_HEADER_KEY = "hzsynth"
_CHANNELS_LAST = "channels_last"


def _is_channels_last(tensor: torch.Tensor) -> bool:
    # A fused optimiser walks weights and moments in the order of their memory: moments that come
    # back in another layout than the weights are paired with the wrong ones.
    return (
        tensor.dim() == 4
        and not tensor.is_contiguous()
        and tensor.is_contiguous(memory_format=torch.channels_last)
    )


def _encode(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        name = f"t{len(tensors)}"
        # A clone: safetensors refuses tensors that share storage, and views keep their base alive.
        tensors[name] = value.detach().cpu().contiguous().clone()
        if _is_channels_last(value):
            return {"$tensor": name, "layout": _CHANNELS_LAST}
        return {"$tensor": name}
    if isinstance(value, dict):
        return {"$dict": [[_encode(k, tensors), _encode(v, tensors)] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"$tuple": [_encode(v, tensors) for v in value]}
    if isinstance(value, list):
        return [_encode(v, tensors) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}")


def _decode(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(v, tensors) for v in value]
    if isinstance(value, dict):
        if "$tensor" in value:
            tensor = tensors[value["$tensor"]]
            if value.get("layout") == _CHANNELS_LAST:
                return tensor.contiguous(memory_format=torch.channels_last)
            return tensor
        if "$tuple" in value:
            return tuple(_decode(v, tensors) for v in value["$tuple"])
        return {_decode(k, tensors): _decode(v, tensors) for k, v in value["$dict"]}
    return value


def save_checkpoint(path: Path, kind: str, state: Any) -> None:
    """Writes `state` atomically.

    Args:
        path: the file, by convention ending in ``.safetensors``.
        kind: what the state is, such as ``gan-training``; checked on loading.
        state: any nesting of dict (keys str or int), list and tuple with tensors, int, float,
            str, bool and None as leaves; ``optimizer.state_dict()`` fits as it is.

    Raises:
        InputError: the file cannot be written.
        TypeError: the state holds something else.
    """
    tensors: dict[str, torch.Tensor] = {}
    tree = _encode(state, tensors)
    header = json.dumps({"format": FORMAT, "kind": kind, "tree": tree})
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata={_HEADER_KEY: header})
        except SafetensorError as error:
            raise InputError(f"cannot write to '{path}': {error}") from error


def load_checkpoint(path: Path, kind: str) -> Any:
    """Reads what `save_checkpoint` wrote, with all tensors on the CPU.

    Args:
        path: the checkpoint file.
        kind: the expected kind.

    Returns:
        The state, with the types it was saved with.

    Raises:
        InputError: the file is missing, damaged, of another kind or of a newer format.
    """
    if not path.is_file():
        raise InputError(f"there is no checkpoint '{path}'")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            header = json.loads(metadata.get(_HEADER_KEY, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"'{path}' is not a readable checkpoint: {error}") from error
    if header is None:
        raise InputError(f"'{path}' holds weights that hzsynth did not write as a checkpoint")
    if header["format"] > FORMAT:
        raise InputError(
            f"'{path}' has checkpoint format {header['format']}, this hzsynth reads up to "
            f"{FORMAT}: update hzsynth"
        )
    if header["kind"] != kind:
        raise InputError(f"'{path}' is a checkpoint of '{header['kind']}', expected '{kind}'")
    return _decode(header["tree"], tensors)
