"""The pool of past fakes that steadies a discriminator (Shrivastava et al. 2017)."""

from typing import Any

import torch


class ImagePool:
    """Keeps up to `size` earlier fakes and hands them out in place of new ones.

    Args:
        size: capacity; 0 hands every image straight back.
        device: of the images.
    """

    def __init__(self, size: int = 50, device: torch.device | None = None) -> None:
        self.size, self._device = size, device
        self._kept: list[torch.Tensor] = []

    def query(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Exchanges new images for kept ones with probability 1/2 once the pool is full.

        Args:
            images: N x C x H x W, without gradient.
            generator: CPU generator of the draws.

        Returns:
            N images of the same shape: new or kept ones.
        """
        if self.size == 0:
            return images
        answer = []
        for image in images.detach():
            if len(self._kept) < self.size:
                self._kept.append(image.clone())
                answer.append(image)
            elif torch.rand((), generator=generator).item() < 0.5:
                place = int(torch.randint(self.size, (), generator=generator))
                answer.append(self._kept[place])
                self._kept[place] = image.clone()
            else:
                answer.append(image)
        return torch.stack(answer)

    def state_dict(self) -> dict[str, Any]:
        """The kept images, for a checkpoint."""
        return {"kept": list(self._kept)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the kept images."""
        self._kept = [image.to(self._device) for image in state["kept"]]
