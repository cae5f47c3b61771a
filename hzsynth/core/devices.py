"""The one place that chooses the device and the precision of a computation."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from hzsynth.core.errors import InputError

Precision = Literal["fp32", "bf16", "fp16"]

_AUTOCAST_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Compute:
    """Where a stage computes, and in which precision.

    Attributes:
        device: the torch device.
        precision: `fp32`, `bf16` or `fp16`; the latter two through autocast.
    """

    device: torch.device
    precision: Precision = "fp32"

    @property
    def memory_format(self) -> torch.memory_format:
        """Layout of image batches: channels last is the faster one on CPUs and tensor cores."""
        return torch.channels_last

    def autocast(self) -> AbstractContextManager[None]:
        """A context in which eligible operations run in the chosen precision."""
        if self.precision == "fp32":
            return nullcontext()
        context: AbstractContextManager[None] = torch.autocast(
            self.device.type, dtype=_AUTOCAST_TYPES[self.precision]
        )
        return context

    def __str__(self) -> str:
        """For example ``cpu in fp32``."""
        return f"{self.device} in {self.precision}"


CPU_FP32 = Compute(torch.device("cpu"))


def _cpu_is_fast_in_bf16() -> bool:
    # Without AVX512-BF16 or AMX, bf16 is emulated and slower than float32.
    capability = torch.backends.cpu.get_cpu_capability()
    if not capability.startswith("AVX512"):
        return False
    return bool(torch.cpu._is_avx512_bf16_supported())


def choose_compute(device: str = "auto", precision: str = "auto") -> Compute:
    """Chooses the device and the precision.

    Args:
        device: `auto` (a GPU when there is one), `cpu`, `cuda` or `cuda:N`.
        precision: `auto` (bf16 where the hardware computes it natively, else fp32), `fp32`,
            `bf16` or `fp16`.

    Returns:
        The chosen `Compute`.

    Raises:
        InputError: the device does not exist, or the precision does not fit it.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise InputError(f"`device` is auto, cpu, cuda or cuda:N, not '{device}'") from None
    if chosen.type not in ("cpu", "cuda"):
        raise InputError(f"`device` is auto, cpu, cuda or cuda:N, not '{device}'")
    if chosen.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (chosen.index or 0) >= count:
            raise InputError(
                f"`device` {device} is not there: this machine has {count} CUDA devices; use cpu"
            )
    if precision == "auto":
        if chosen.type == "cuda":
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            native = _cpu_is_fast_in_bf16()
        return Compute(chosen, "bf16" if native else "fp32")
    if precision == "fp32":
        return Compute(chosen, "fp32")
    if precision == "bf16":
        return Compute(chosen, "bf16")
    if precision == "fp16":
        if chosen.type == "cpu":
            raise InputError("`precision` fp16 needs a GPU; on a CPU use fp32, bf16 or auto")
        return Compute(chosen, "fp16")
    raise InputError(f"`precision` is auto, fp32, bf16 or fp16, not '{precision}'")
