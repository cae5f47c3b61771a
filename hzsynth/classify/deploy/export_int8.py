"""An exported classifier in 8 bits, and whether it is still worth as much; its speed and size.

Static quantisation by onnxruntime: QDQ nodes, a scale for every output channel (Krishnamoorthi,
2018; Jacob et al., CVPR 2018), ranges of activations observed on training photographs. The first
convolutions and the linear head stay in fp32: they weigh little, and rounding hurts most there.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hzsynth.classify.deploy.onnx_classifier import INPUT, OUTPUTS
from hzsynth.core.errors import InputError, RefusedError
from hzsynth.core.onnx_files import open_session
from hzsynth.statistics.classification import choice_metrics, confusion_matrix

MOST_CALIBRATION_IMAGES = 256
"""More photographs hardly widen the observed ranges, but every activation is kept in memory."""
FIRST_IN_FLOAT = 3
"""Convolutions next to the photograph that stay in fp32: few weights, ranges that differ most
between channels. For EfficientNet-Lite0 this brings the mean |dp| from .010 to .006."""
_BATCH = 16
_WARM_UP = 5


@dataclass(frozen=True)
class Latency:
    """Time of one photograph through the graph on the CPU, batch 1, decoding not included.

    Attributes:
        median_ms: milliseconds.
        p95_ms: milliseconds that 95 % of the passes stay below.
        passes: that were timed.
        threads: of onnxruntime.
    """

    median_ms: float
    p95_ms: float
    passes: int
    threads: int


@dataclass(frozen=True)
class Int8Comparison:
    """What quantisation changed on the validation photographs.

    Attributes:
        images: validation photographs.
        calibration_images: training photographs that the ranges rest on.
        accuracy_fp32: share of right answers.
        accuracy_int8: the same in 8 bits.
        f1_target_fp32: F1 of the target class.
        f1_target_int8: the same in 8 bits.
        mean_difference: mean |dp| over photographs and classes.
        max_difference: the largest.
        agreement: share of photographs with the same likeliest class.
        tolerance: drop of accuracy or F1 that was allowed.
    """

    images: int
    calibration_images: int
    accuracy_fp32: float
    accuracy_int8: float
    f1_target_fp32: float
    f1_target_int8: float
    mean_difference: float
    max_difference: float
    agreement: float
    tolerance: float

    def refuse_if_worse(self) -> None:
        """Lets an 8-bit classifier pass that is as good as the other.

        Raises:
            RefusedError: accuracy or F1 of the target class dropped by more than the tolerance.
        """
        drops = (
            ("accuracy", self.accuracy_fp32, self.accuracy_int8),
            ("F1 of the target class", self.f1_target_fp32, self.f1_target_int8),
        )
        for name, before, after in drops:
            if before - after > self.tolerance + 1e-9:
                raise RefusedError(
                    f"int8 costs too much: {name} on {self.images} validation photographs falls "
                    f"from {before:.3f} to {after:.3f}, by more than `tolerance` "
                    f"{self.tolerance:g} (mean |dp| {self.mean_difference:.4f}); export without "
                    "`int8`"
                )

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)


def calibration_sample(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At most `MOST_CALIBRATION_IMAGES` photographs, evenly spread over the set's order."""
    chosen = np.unique(np.linspace(0, len(pixels) - 1, MOST_CALIBRATION_IMAGES).astype(int))
    sample: NDArray[np.uint8] = pixels[chosen]
    return sample


def _reader(pixels: NDArray[np.uint8]) -> Any:
    """Hands photographs out in batches, as onnxruntime asks for them."""
    from onnxruntime.quantization import CalibrationDataReader

    class Photographs(CalibrationDataReader):
        """Hands the photographs out in batches."""

        def __init__(self) -> None:
            self._batches: Iterator[NDArray[np.uint8]] = (
                pixels[start : start + _BATCH] for start in range(0, len(pixels), _BATCH)
            )

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            """The next batch, or None."""
            batch = next(self._batches, None)
            return None if batch is None else {INPUT: batch}

    return Photographs()


def quantise(graph: bytes, pixels: NDArray[np.uint8]) -> bytes:
    """Turns a graph's convolutions and matrix products to 8 bits.

    Args:
        graph: an ONNX file's bytes, as `export` makes them.
        pixels: uint8 N x 3 x S x S training photographs, at least 1.

    Returns:
        The quantised ONNX file's bytes, without metadata.

    Raises:
        InputError: onnxruntime is not installed, or there is no photograph.
    """
    if not len(pixels):
        raise InputError("`int8` needs training photographs to observe ranges on, there are none")
    try:
        import onnx
        from onnxruntime.quantization import (
            CalibrationMethod,
            QuantFormat,
            QuantType,
            quantize_static,
        )
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError:
        raise InputError(
            "onnx and onnxruntime are not installed, and nothing can be quantised without them: "
            "pip install 'hzsynth[export]'"
        ) from None

    with tempfile.TemporaryDirectory(prefix="hzsynth-int8-") as folder:
        raw, prepared, result = (Path(folder) / f"{n}.onnx" for n in ("raw", "prepared", "int8"))
        raw.write_bytes(graph)
        # The batch is symbolic: onnx's own shape inference copes with it, the symbolic one need not.
        quant_pre_process(str(raw), str(prepared), skip_symbolic_shape=True)
        in_float = _nodes_left_in_float(onnx.load(str(prepared)))
        quantize_static(
            str(prepared),
            str(result),
            _reader(pixels),
            quant_format=QuantFormat.QDQ,
            nodes_to_exclude=in_float,
            per_channel=True,
            # Without VNNI, sums of 8-bit products overflow on x86; 7-bit weights never do.
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return result.read_bytes()


def _nodes_left_in_float(model: Any) -> list[str]:
    """Names of the first convolutions and of the nodes behind the pooled features."""
    reached = {OUTPUTS[1]}
    head: list[str] = []
    convolutions: list[str] = []
    for node in model.graph.node:  # in the order in which they run
        if node.op_type == "Conv":
            convolutions.append(str(node.name))
        if reached & set(node.input):
            reached |= set(node.output)
            head.append(str(node.name))
    return convolutions[:FIRST_IN_FLOAT] + head


def compare(
    fp32: NDArray[np.float32],
    int8: NDArray[np.float32],
    truth: NDArray[np.int64],
    target: int,
    *,
    calibration_images: int,
    tolerance: float,
) -> Int8Comparison:
    """Compares probabilities of the same validation photographs.

    Args:
        fp32: N x C.
        int8: N x C.
        truth: N class numbers.
        target: number of the target class.
        calibration_images: training photographs that the ranges rest on.
        tolerance: allowed drop of accuracy and of F1.

    Returns:
        The comparison.
    """
    classes = fp32.shape[1]
    values = [
        choice_metrics(confusion_matrix(truth, p.argmax(axis=1), classes), target)
        for p in (fp32, int8)
    ]
    difference = np.abs(fp32.astype(np.float64) - int8)
    return Int8Comparison(
        images=len(truth),
        calibration_images=calibration_images,
        accuracy_fp32=float(values[0]["accuracy"]),
        accuracy_int8=float(values[1]["accuracy"]),
        f1_target_fp32=float(values[0]["f1_target"]),
        f1_target_int8=float(values[1]["f1_target"]),
        mean_difference=float(difference.mean()),
        max_difference=float(difference.max()),
        agreement=float((fp32.argmax(axis=1) == int8.argmax(axis=1)).mean()),
        tolerance=tolerance,
    )


def measure_latency(graph: bytes, size: int, passes: int = 50, threads: int = 1) -> Latency:
    """Times a graph on this machine's CPU.

    Args:
        graph: an ONNX file's bytes.
        size: side of the input, pixels.
        passes: timed ones, at least 2.
        threads: of onnxruntime.

    Returns:
        The times.
    """
    session = open_session(graph, threads)
    image = np.full((1, 3, size, size), 128, np.uint8)
    milliseconds = []
    for _ in range(_WARM_UP + passes):
        start = time.perf_counter()
        session.run(OUTPUTS, {INPUT: image})
        milliseconds.append((time.perf_counter() - start) * 1000)
    timed = milliseconds[_WARM_UP:]
    return Latency(statistics.median(timed), float(np.quantile(timed, 0.95)), passes, threads)
