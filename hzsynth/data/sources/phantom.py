"""Procedural skin photographs with lesion masks: data for demonstrations, tests and benchmarks.

The phantom needs no download and no permission. It is no medical data: it stands for
photographs wherever none may be shipped, and its classes overlap so that a classifier trained on a
few dozen images has something left to learn. Patients have one to four photographs; a
share carries an archive's logo; near-duplicates are added on request, so that the same
pitfalls wait here as in real collections.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_opening

from hzsynth.core.errors import InputError
from hzsynth.core.image_set import ImageSet
from hzsynth.core.image_set_writer import ImageSetWriter
from hzsynth.core.progress import SILENT, Progress
from hzsynth.core.seeding import derive_seed, numpy_generator
from hzsynth.data.config import LABELS, Cohort, PhantomConfig
from hzsynth.data.sources.phantom_body import COHORTS, draw_skin, draw_view
from hzsynth.data.sources.phantom_camera import (
    draw_camera,
    encode_and_decode,
    light_surface,
    photograph,
    stamp_logo,
)
from hzsynth.data.sources.phantom_lesions import DISEASES
from hzsynth.data.sources.phantom_surface import Surface, draw_hair, draw_healthy

LICENCE = "Apache-2.0 (procedural)"
# Field of view in cm, smallest and largest; drawn uniformly in the logarithm.
_WIDTHS = {"cellulitis": (8.0, 18.0)}
_USUAL_WIDTH = (5.5, 14.0)


def render_phantom(
    label: str, cohort: Cohort, patient_seed: int, view_seed: int, size: int, logo: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Renders one photograph.

    Args:
        label: one of `LABELS`.
        cohort: western or korean: skin tone and camera.
        patient_seed: the patient; the same seed shows the same skin and disease.
        view_seed: the photograph: place, distance, light.
        size: width and height, pixels.
        logo: whether an archive's logo is stamped on it.

    Returns:
        The picture, size x size x 3 uint8 sRGB, and the lesion's mask, size x size.

    Raises:
        InputError: the label or the cohort is unknown.
    """
    if label not in DISEASES:
        raise InputError(f"the phantom's label is one of {', '.join(LABELS)}, not '{label}'")
    if cohort not in COHORTS:
        raise InputError(f"the phantom's cohort is one of {', '.join(COHORTS)}, not '{cohort}'")
    skin = draw_skin(cohort, patient_seed)
    rng = numpy_generator(patient_seed, "phantom", "view", cohort, label, view_seed)
    oversampling = 2 if size <= 192 else 1
    low, high = _WIDTHS.get(label, _USUAL_WIDTH)
    width = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    shift = rng.normal(0, 0.14 * width), rng.normal(0, 0.14 * width)
    view = draw_view(skin, rng, size * oversampling, width, shift)
    camera = draw_camera(cohort, rng)
    surface = Surface(view.pixels)
    DISEASES[label](surface, skin, view, numpy_generator(patient_seed, "phantom", "disease", label))
    draw_healthy(surface, skin, view)
    draw_hair(surface, skin, view, numpy_generator(patient_seed, "phantom", "hair"))
    pixels = photograph(light_surface(surface, skin, view, camera), camera, rng, oversampling)
    if logo:
        pixels = stamp_logo(pixels)
    lesion = (surface.lesion * view.body).reshape(size, oversampling, size, oversampling)
    mask = binary_opening(lesion.mean(axis=(1, 3)) > 0.5)
    return encode_and_decode(pixels, camera.quality), mask


def import_phantom(
    config: PhantomConfig, out: Path, progress: Progress = SILENT, *, force: bool = False
) -> ImageSet:
    """Renders a whole collection.

    Args:
        config: how many patients of which classes and cohorts.
        out: folder of the new set.
        progress: where progress is shown.
        force: replace a set that is already there.

    Returns:
        The set: group is the patient, origin phantom, every image with its mask.

    Raises:
        InputError: `out` is taken or cannot be written to.
    """
    plan = _plan(config)
    count = len(plan) + config.duplicates
    with (
        ImageSetWriter(out, force) as writer,
        progress.task("rendering", total=count, unit="img") as task,
    ):
        for photograph_plan in plan:
            pixels, mask = photograph_plan.render(config.size)
            photograph_plan.write(writer, pixels, mask)
            task.advance(1)
        rng = numpy_generator(config.seed, "phantom", "duplicates")
        for number in range(config.duplicates):
            original = plan[int(rng.integers(len(plan)))]
            pixels, mask = _disguise(*original.render(config.size), number)
            original.write(writer, pixels, mask, copy=number)
            task.advance(1)
    return writer.images


@dataclass(frozen=True)
class _Photograph:
    """What is to be rendered: one view of one patient."""

    label: str
    cohort: Cohort
    patient: str
    patient_seed: int
    view: int
    logo: bool

    def render(self, size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        return render_phantom(
            self.label, self.cohort, self.patient_seed, self.view, size, self.logo
        )

    def write(
        self,
        writer: ImageSetWriter,
        pixels: NDArray[np.uint8],
        mask: NDArray[np.bool_],
        copy: int | None = None,
    ) -> None:
        name = f"{self.patient}-{self.view}"
        writer.add(
            pixels,
            label=self.label,
            # A copy found on the web does not say whose photograph it is.
            group=self.patient if copy is None else "",
            source=f"phantom-{self.cohort}",
            origin="phantom",
            licence=LICENCE,
            mask=mask,
            name=name if copy is None else f"copy-{copy:03d}",
            extra={"copy_of": "" if copy is None else name},
        )


def _plan(config: PhantomConfig) -> list[_Photograph]:
    plan = []
    for label, count in sorted(config.patients.items()):
        for number in range(count):
            cohort = config.cohorts[number % len(config.cohorts)]
            rng = numpy_generator(config.seed, "phantom", "patient", label, number)
            views = int(rng.choice([1, 2, 3, 4], p=[0.3, 0.35, 0.2, 0.15]))
            seed = derive_seed(config.seed, "phantom", "skin", label, number)
            patient = f"{cohort[:2]}-{label}-{number:03d}"
            # One archive photographs one patient: all views carry the logo or none does.
            logo = bool(label != "normal" and rng.random() < config.logo_share)
            plan += [_Photograph(label, cohort, patient, seed, v, logo) for v in range(views)]
    return plan


def _disguise(
    pixels: NDArray[np.uint8], mask: NDArray[np.bool_], number: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A copy as collections hold them: mirrored, turned, brighter, and encoded again."""
    if number % 3 == 0:
        pixels, mask = pixels[:, ::-1], mask[:, ::-1]
    elif number % 3 == 1:
        pixels, mask = np.rot90(pixels), np.rot90(mask)
    if number % 2:
        pixels = np.clip(pixels * 1.12, 0, 255).astype(np.uint8)
    return encode_and_decode(np.ascontiguousarray(pixels), 45), np.ascontiguousarray(mask)
