"""Phantoms for `audit_scenes`: patients to draw from, images of a faultless generator, features kept on disk."""

import hashlib
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hzsynth.audit.feature_spaces import FeatureSpace
from hzsynth.core.copy_evidence import CopyEvidence, read_copy_evidence
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.photos import square
from hzsynth.core.seeding import derive_seed, numpy_generator
from hzsynth.data.copy_search import find_copies
from hzsynth.data.sources.phantom import render_phantom

PHOTOGRAPH, GENERATED = 128, 64
"""Sides, pixels: those of the README's photographs and of its generator."""
NARROW = "narrow"
_VIEWS, _CHANCES = (1, 2, 3, 4), (0.3, 0.35, 0.2, 0.15)
_ONE_PATIENT = 12345

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Pool:
    """What scenes of a class are drawn from.

    Attributes:
        label: the class.
        photographs: N x 128 x 128 x 3.
        patients: N numbers.
        fresh: images of further patients, M x 64 x 64 x 3: what a faultless generator would give.
        searched: that copies were looked for among the photographs.
    """

    label: str
    photographs: Pixels
    patients: NDArray[np.int64]
    fresh: Pixels
    searched: CopyEvidence

    def drawn(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Rows of all photographs of some patients."""
        chosen = rng.permutation(np.unique(self.patients))[:count]
        return np.flatnonzero(np.isin(self.patients, chosen))


def small(picture: Pixels) -> Pixels:
    """A picture at the side of the generator's, made smaller as the audit makes photographs smaller."""
    return square(picture, GENERATED)


def pool(label: str, patients: int, fresh: int, kept: Path) -> Pool:
    """Renders a pool; the first time only.

    Args:
        label: a class of the phantom, or `NARROW`: healthy skin of one patient, every further
            photograph of which counts as a patient's.
        patients: to draw from.
        fresh: images of further patients.
        kept: folder of earlier ones.
    """
    path = kept / f"{label}-{patients}-{fresh}.npz"
    if not path.exists():
        views = [
            (number, view)
            for number in range(patients)
            for view in range(numpy_generator(7, "pool", label, number).choice(_VIEWS, p=_CHANCES))
        ]
        np.savez(
            path,
            photographs=np.stack([_rendered(label, 7, *place) for place in views]),
            patients=np.array([number for number, _ in views]),
            fresh=np.stack([small(_rendered(label, 8, number, 0)) for number in range(fresh)]),
        )
    with np.load(path) as stored:
        searched = _searched(path.with_suffix(".csv"), stored["photographs"])
        return Pool(label, stored["photographs"], stored["patients"], stored["fresh"], searched)


def _searched(path: Path, photographs: Pixels) -> CopyEvidence:
    """What `hzsynth data dedup` would find; the first time only."""
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder:
            with ImageSetWriter(Path(folder) / "set") as writer:
                for photograph in photographs:
                    writer.add(photograph, label="any", origin="phantom")
            found = find_copies(writer.images, workers=1).evidence
        assert found is not None
        path.write_text(found.to_csv(), encoding="utf-8")
    return read_copy_evidence(path)


def _rendered(label: str, seed: int, patient: int, view: int) -> Pixels:
    if label == NARROW:
        place = derive_seed(seed, label, patient, view)
        return render_phantom("normal", "western", _ONE_PATIENT, place, PHOTOGRAPH)[0]
    return render_phantom(label, "western", derive_seed(seed, label, patient), view, PHOTOGRAPH)[0]


class Remembering:
    """A space that describes no picture twice, in this or a later process.

    Args:
        space: the space.
        kept: folder of what earlier processes described.
    """

    def __init__(self, space: FeatureSpace, kept: Path) -> None:
        self._space, self._path = space, kept / f"{space.name}.npz"
        self._known: dict[str, NDArray[np.float32]] = {}
        if self._path.exists():
            with np.load(self._path) as stored:
                self._known = dict(zip(stored["keys"].tolist(), stored["values"], strict=True))
        self._saved = len(self._known)

    @property
    def space(self) -> FeatureSpace:
        """To be given to the audit."""
        return replace(self._space, describe=self._describe)

    def save(self) -> None:
        """Keeps what was described since."""
        if len(self._known) > self._saved:
            keys = np.array(list(self._known))
            np.savez(self._path, keys=keys, values=np.stack(list(self._known.values())))
            self._saved = len(self._known)

    def _describe(self, pixels: torch.Tensor) -> torch.Tensor:
        keys = [hashlib.sha256(picture.numpy().tobytes()).hexdigest() for picture in pixels]
        new = [row for row, key in enumerate(keys) if key not in self._known]
        if new:
            found = self._space.describe(pixels[new]).numpy()
            self._known.update(zip([keys[row] for row in new], found, strict=True))
        return torch.from_numpy(np.stack([self._known[key] for key in keys]))
