"""Images and their classes as a torch data set, decoded when they are asked for."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch.utils.data import Dataset

from hzsynth.core.errors import InputError
from hzsynth.core.photos import decode_image, square


class TorchImages(Dataset[tuple[torch.Tensor, int]]):
    """Pairs of an image and its class, for a `torch.utils.data.DataLoader`.

    Args:
        files: N image files.
        targets: N class indices.
        size: side of the central square in pixels; None leaves pictures as they are.
        transform: applied to every image, 3 x H x W uint8; None leaves it as it is.
    """

    def __init__(
        self,
        files: Sequence[Path],
        targets: Sequence[int],
        size: int | None = None,
        transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> None:
        self._files, self._size, self._transform = tuple(files), size, transform
        self.targets = tuple(targets)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        file = self._files[index]
        try:
            pixels = decode_image(file.read_bytes(), str(file))
        except OSError as error:
            raise InputError(f"cannot read '{file}': {error.strerror}") from error
        if self._size is not None:
            pixels = square(pixels, self._size)
        image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
        return (image if self._transform is None else self._transform(image)), self.targets[index]
