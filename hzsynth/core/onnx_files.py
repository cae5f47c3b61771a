"""Asking an ONNX file, without torch."""

from pathlib import Path
from typing import Any

from hzsynth.core.errors import InputError

OPSET = 18
"""The exporter's own; another one would need a second conversion."""


def open_session(model: Path | bytes, threads: int = 0) -> Any:
    """An onnxruntime session on the CPU, whatever the graph is.

    Args:
        model: a file or its bytes.
        threads: of onnxruntime; 0 leaves it the choice.

    Raises:
        InputError: onnxruntime is not installed, or the file cannot be read or is damaged.
    """
    try:
        import onnxruntime
    except ImportError:
        raise InputError(
            "onnxruntime is not installed, and an ONNX file cannot be used without it: "
            "pip install 'hzsynth[export]'"
        ) from None
    name = f"'{model}'" if isinstance(model, Path) else "the exported graph"
    try:
        data = model.read_bytes() if isinstance(model, Path) else model
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a class of its own for each way to be damaged
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        raise InputError(f"{name} is no ONNX file that can be used: {reason}") from error
