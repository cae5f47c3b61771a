"""The processes that train one model together, on one machine or several.

`accelerate launch` (or torchrun) starts them. Each draws the whole global batch's random numbers
and computes its own share; gradients are averaged, so that N processes learn what one process
with the same global batch would. Only the main process writes.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from hzsynth.core.errors import InputError
from hzsynth.core.seeding import derive_seed


@dataclass(frozen=True)
class Processes:
    """How many processes there are, and which this one is.

    Attributes:
        count: their number.
        number: of this one, from 0.
        device_number: of the GPU that this one should take on its machine.
    """

    count: int = 1
    number: int = 0
    device_number: int = 0

    @classmethod
    def joined(cls, on_cpu: bool) -> "Processes":
        """Joins the others when this process was started with others, else stands alone.

        Args:
            on_cpu: compute on the CPU although there may be GPUs.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return ALONE
        from accelerate import PartialState

        state = PartialState(cpu=on_cpu)
        return cls(state.num_processes, state.process_index, state.local_process_index)

    def seed(self, root: int) -> int:
        """The seed of draws that should differ between the processes; alone it is the root."""
        return root if self.number == 0 else derive_seed(root, "process", self.number)

    @property
    def is_main(self) -> bool:
        """Whether this process writes."""
        return self.number == 0

    def rows(self, batch: int, group: int = 1) -> torch.Tensor:
        """Which images of the global batch are this process's, int64.

        Args:
            batch: size of the global batch.
            group: images that a network compares with each other: image i with i + batch / group
                and so on. Groups are kept whole.

        Raises:
            InputError: the batch cannot be shared equally.
        """
        if batch % (self.count * group):
            raise InputError(
                f"`batch` {batch} cannot be shared by {self.count} processes: it must be a multiple "
                f"of {self.count * group}"
            )
        table = torch.arange(batch).view(group, -1)
        return table.chunk(self.count, dim=1)[self.number].flatten()

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """The mean of every process's value, without gradient."""
        if self.count == 1:
            return value.detach()
        summed = value.detach().clone()
        torch.distributed.all_reduce(summed)
        return summed / self.count

    def gathered(self, value: torch.Tensor) -> torch.Tensor:
        """The values of all processes one after another, without gradient."""
        if self.count == 1:
            return value.detach()
        parts = [torch.empty_like(value) for _ in range(self.count)]
        torch.distributed.all_gather(parts, value.detach().contiguous())
        return torch.cat(parts)

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replaces every gradient by the mean over the processes."""
        if self.count == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(flat)
        flat /= self.count
        for gradient, part in zip(
            gradients, flat.split([g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))

    def of_main(self, number: float) -> float:
        """The main process's number, in all of them."""
        if self.count == 1:
            return number
        told = torch.tensor([number], dtype=torch.float64, device=_collective_device())
        torch.distributed.broadcast(told, 0)
        return float(told)

    def agreed(self, decision: bool) -> bool:
        """The main process's decision, in all of them."""
        return bool(self.of_main(decision))

    def wait(self) -> None:
        """Returns when all processes have come here."""
        if self.count > 1:
            torch.distributed.barrier()


ALONE = Processes()


def _collective_device() -> torch.device:
    nccl = torch.distributed.get_backend() == "nccl"
    return torch.device("cuda", torch.cuda.current_device()) if nccl else torch.device("cpu")
