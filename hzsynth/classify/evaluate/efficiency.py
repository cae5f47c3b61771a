"""What a classifier costs: parameters, multiply-accumulates, latency and bytes of its file.

Multiply-accumulates are half the floating-point operations that torch's own counter finds in
the convolutions and matrix products of one image; other operations are not counted.
Published figures are often of another definition, so the tool's name goes with the number.
"""

import copy
import platform
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hzsynth.classify.models import Classifier

MACS_TOOL = f"torch.utils.flop_counter of torch {torch.__version__}, operations / 2"

_WARM_UP = 3


@dataclass(frozen=True)
class Efficiency:
    """The cost of asking a classifier about one image.

    Attributes:
        parameters: trainable weights and biases.
        macs: multiply-accumulates of one image.
        macs_tool: what counted them.
        latency_ms: median time of one image on the CPU in float32, milliseconds.
        repeats: passes that the median is of.
        threads: of torch while it was measured.
        processor: whose time it is.
        model_bytes: size of the model file.
        size: side of the input, pixels.
    """

    parameters: int
    macs: int
    macs_tool: str
    latency_ms: float
    repeats: int
    threads: int
    processor: str
    model_bytes: int
    size: int

    def costs(self) -> dict[str, float]:
        """The figures that `recommended_levels` has a level for."""
        return {
            "macs_millions": self.macs / 1e6,
            "latency_ms": self.latency_ms,
            "parameters_millions": self.parameters / 1e6,
        }

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)


def count_parameters(network: nn.Module) -> int:
    """The number of weights and biases; batch-norm statistics are none."""
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def count_macs(network: nn.Module, size: int) -> int:
    """Multiply-accumulates of one image, see `MACS_TOOL`.

    Args:
        network: on the CPU, in evaluation mode; float 1 x 3 x size x size is its input.
        size: side of the input, pixels.

    Returns:
        Their number.
    """
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, size, size))
    return int(counter.get_total_flops()) // 2


@torch.no_grad()
def median_latency(network: nn.Module, size: int, repeats: int) -> float:
    """Median time of one image through the network, milliseconds (arguments as above)."""
    image = torch.zeros(1, 3, size, size).contiguous(memory_format=torch.channels_last)
    seconds = []
    for _ in range(_WARM_UP + repeats):
        start = time.perf_counter()
        network(image)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[_WARM_UP:]) * 1000


def _processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def measure_efficiency(classifier: Classifier, model_file: Path, repeats: int = 21) -> Efficiency:
    """Measures a classifier on this machine's CPU, whatever it was trained on.

    Args:
        classifier: a trained classifier; it is left as it is.
        model_file: where it is stored.
        repeats: timed passes, at least 1.

    Returns:
        The costs.
    """
    network = copy.deepcopy(classifier.network).cpu().float().eval()
    return Efficiency(
        parameters=count_parameters(network),
        macs=count_macs(network, classifier.size),
        macs_tool=MACS_TOOL,
        latency_ms=median_latency(network, classifier.size, repeats),
        repeats=repeats,
        threads=torch.get_num_threads(),
        processor=_processor(),
        model_bytes=model_file.stat().st_size,
        size=classifier.size,
    )
