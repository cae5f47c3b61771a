"""What a training run came to."""

from dataclasses import dataclass
from typing import Any

from hzsynth.core.run import RunDir


@dataclass(frozen=True)
class GanResult:
    """What a training run came to.

    Attributes:
        run: where everything lies: ``model.safetensors`` (the best moment), ``last.safetensors``,
            ``samples/``, ``metrics.jsonl``, ``kid.png``, ``variety.png``.
        labels: class names of the images that the generator makes.
        training_images: how many photographs it learned from.
        held_out_images: how many only watched.
        steps: updates of both networks.
        images_shown: steps times batch.
        seconds: training time, over all resumptions.
        images_per_second: of the part that this call trained; 0 when nothing was left to do.
        stopped: ``budget``, or ``no gain`` when the patience ended it.
        best_step: of the moment that was kept; the last step in a run that is not watched.
        best: its figures: ``kid``, ``kid_error``, ``copies``, ``diversity``; empty if not watched.
        last: the last snapshot's figures.
        alarms: about the photographs, and of the moment that was kept.
    """

    run: RunDir
    labels: tuple[str, ...]
    training_images: int
    held_out_images: int
    steps: int
    images_shown: int
    seconds: float
    images_per_second: float
    stopped: str
    best_step: int
    best: dict[str, float]
    last: dict[str, float]
    alarms: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The result as plain values, as it is stored in the run."""
        return {
            "labels": list(self.labels),
            "training_images": self.training_images,
            "held_out_images": self.held_out_images,
            "steps": self.steps,
            "images_shown": self.images_shown,
            "seconds": round(self.seconds, 2),
            "images_per_second": round(self.images_per_second, 2),
            "stopped": self.stopped,
            "best_step": self.best_step,
            "best": self.best,
            "last": self.last,
            "alarms": list(self.alarms),
        }
