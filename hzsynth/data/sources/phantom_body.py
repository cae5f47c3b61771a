"""The body of a phantom patient: where every pixel lies on the skin, and what the skin is like.

A photograph looks at a cylinder (a limb or a trunk). Every pixel gets skin coordinates in
centimetres, so that two photographs of one patient show the same freckles, veins and
lesions from another place. The colour of the skin is drawn as an individual typology angle
(Chardon et al., 1991: ITA = atan2(L* - 50, b*)); pigments act as optical densities on
linear RGB (Beer-Lambert), as haemoglobin and melanin do in skin.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree
from skimage.color import lab2rgb

from hzsynth.core.seeding import numpy_generator
from hzsynth.data.config import Cohort

FloatImage = NDArray[np.floating[Any]]
COHORTS: tuple[Cohort, ...] = get_args(Cohort)

HAEMOGLOBIN = np.array([0.16, 1.0, 0.82], np.float32)
MELANIN = np.array([0.45, 0.75, 1.05], np.float32)
BRUISE = np.array([0.75, 1.0, 0.6], np.float32)
VEIN = np.array([0.30, 0.10, 0.02], np.float32)

_TILE = 512

# Mean and spread of the typology angle (degrees), b* and a* of each cohort's healthy skin.
_TONES: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "western": ((48.0, 8.0), (15.5, 1.8), (12.0, 2.0)),
    "korean": ((34.0, 6.0), (18.5, 1.8), (10.5, 1.6)),
}


def _standard(values: NDArray[np.float64]) -> FloatImage:
    scaled: FloatImage = ((values - values.mean()) / values.std()).astype(np.float32)
    return scaled


def _band_noise(rng: np.random.Generator, exponent: float, low: float, high: float) -> FloatImage:
    """Periodic noise with amplitude f**-exponent between two frequencies (cycles a tile)."""
    spectrum = np.fft.rfft2(rng.normal(size=(_TILE, _TILE)))
    rows = np.fft.fftfreq(_TILE, 1 / _TILE)[:, None]
    frequency = np.hypot(rows, np.fft.rfftfreq(_TILE, 1 / _TILE)[None, :])
    frequency[0, 0] = 1
    gain = frequency**-exponent / (1 + (low / frequency) ** 6) / (1 + (frequency / high) ** 6)
    return _standard(np.fft.irfft2(spectrum * gain, s=(_TILE, _TILE)))


@lru_cache(maxsize=1)
def noise_tiles() -> dict[str, FloatImage]:
    """The periodic textures that all skins are cut from, each with mean 0 and deviation 1.

    Returns:
        ``cloud`` (fractal), ``grain`` (fine band) and ``cells`` (the polygons between skin
        lines), 512 x 512 each.
    """
    rng = numpy_generator(0, "phantom", "tiles")
    points = rng.uniform(0, _TILE, size=(2600, 2))
    grid = np.stack(np.meshgrid(np.arange(_TILE), np.arange(_TILE), indexing="ij"), -1)
    near, _ = cKDTree(points, boxsize=_TILE).query(grid.reshape(-1, 2), k=2)
    gap = np.minimum(near[:, 1] - near[:, 0], 3.5).reshape(_TILE, _TILE)
    return {
        "cloud": _band_noise(rng, 1.5, 1.5, 120),
        "grain": _band_noise(rng, 0.3, 40, 130),
        "cells": _standard(gap),
    }


@dataclass(frozen=True)
class Skin:
    """What stays the same in every photograph of one patient.

    Attributes:
        angle: individual typology angle, degrees.
        reflectance: linear RGB of the healthy skin.
        site: limb, trunk or flat.
        radius: of the cylinder, cm.
        offset: where the patient's skin lies in the noise tiles, cm.
        roughness: depth of the skin's relief, around 1.
        mottling: strength of the uneven redness, around 1.
        veins: visibility of veins.
        hairs: hairs a square centimetre.
        hair_shade: brightness of hair, 0 black to 1 blond.
        marks: moles and freckles: rows of u, v, radius (cm) and density.
        landmark: nipple, navel or empty.
        landmark_place: its skin coordinates, cm.
    """

    angle: float
    reflectance: FloatImage
    site: str
    radius: float
    offset: tuple[float, float]
    roughness: float
    mottling: float
    veins: float
    hairs: float
    hair_shade: float
    marks: NDArray[np.float64]
    landmark: str
    landmark_place: tuple[float, float]


def draw_skin(cohort: Cohort, patient_seed: int) -> Skin:
    """Draws a patient's skin.

    Args:
        cohort: western or korean.
        patient_seed: identifies the patient.

    Returns:
        The skin, the same for the same arguments.
    """
    rng = numpy_generator(patient_seed, "phantom", "skin", cohort)
    (ita, ita_sd), (b, b_sd), (a, a_sd) = _TONES[cohort]
    angle = float(np.clip(rng.normal(ita, ita_sd), 8, 66))
    lightness = float(np.clip(50 + rng.normal(b, b_sd) * np.tan(np.radians(angle)), 51, 78))
    # Very light skin is pale, not brighter than paper: L* is bounded and b* follows the angle.
    blue_yellow = (lightness - 50) / np.tan(np.radians(angle))
    tone = lab2rgb(np.array([[[lightness, rng.normal(a, a_sd), blue_yellow]]]))[0, 0]
    site = str(rng.choice(["trunk", "limb", "flat"], p=[0.42, 0.38, 0.2]))
    radius = {"trunk": rng.uniform(13, 24), "limb": rng.uniform(4, 8), "flat": 60.0}[site]
    freckled = rng.random() < (0.35 if cohort == "western" else 0.12)
    count = int(rng.poisson(90 if freckled else 7))
    moles = rng.random(count) < (0.06 if freckled else 0.5)
    marks = np.column_stack(
        [
            rng.uniform(-14, 14, size=(count, 2)),
            np.where(moles, rng.uniform(0.1, 0.28, count), rng.uniform(0.07, 0.2, count)),
            np.where(moles, rng.uniform(0.5, 1.6, count), rng.uniform(0.08, 0.35, count)),
        ]
    )
    hairy = rng.random() < (0.3 if site == "limb" else 0.1)
    landmark = ""
    if site == "trunk" and rng.random() < 0.4:
        landmark = str(rng.choice(["nipple", "navel"]))
    return Skin(
        angle=angle,
        reflectance=to_linear(tone).astype(np.float32),
        site=site,
        radius=float(radius),
        offset=(float(rng.uniform(0, 100)), float(rng.uniform(0, 100))),
        roughness=float(rng.lognormal(0, 0.35)),
        mottling=float(rng.lognormal(0, 0.4)),
        veins=float(max(0.0, rng.normal(0.25, 0.45))),
        hairs=float(rng.uniform(0.3, 2.4)) if hairy else 0.0,
        hair_shade=float(rng.uniform(0.05, 0.55) if cohort == "western" else 0.04),
        marks=marks,
        landmark=landmark,
        landmark_place=(float(rng.uniform(-7, 7)), float(rng.uniform(-7, 7))),
    )


def to_linear(srgb: FloatImage) -> FloatImage:
    """Undoes the sRGB transfer curve (IEC 61966-2-1); values in [0, 1]."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


@dataclass(frozen=True)
class View:
    """Where a photograph was taken from, and the skin coordinates of its pixels.

    Attributes:
        pitch: cm a pixel.
        u: N x N, cm along the body's axis.
        v: N x N, cm around the body.
        body: N x N in [0, 1], 0 where the background is seen.
        normal: N x N x 3, the smooth body's unit normal (x right, y down, z to the camera).
        warp: two N x N fields of smooth noise, tied to the skin, that bend outlines.
        ruffle: two more with finer detail.
    """

    pitch: float
    u: FloatImage
    v: FloatImage
    body: FloatImage
    normal: FloatImage
    warp: tuple[FloatImage, FloatImage]
    ruffle: tuple[FloatImage, FloatImage]
    _frame: tuple[float, float, float, float, float] = field(repr=False)

    @property
    def pixels(self) -> int:
        """Width and height."""
        return int(self.u.shape[0])

    def locate(self, u: float, v: float) -> tuple[float, float]:
        """Row and column at which a point of the skin appears (far outside when hidden)."""
        direction, radius, across, shift_u, shift_v = self._frame
        turn = (v - shift_v) / radius + np.arcsin(across / radius)
        if abs(turn) > 1.5:
            return -1e6, -1e6
        along, side = u - shift_u, radius * np.sin(turn) - across
        x = along * np.cos(direction) - side * np.sin(direction)
        y = along * np.sin(direction) + side * np.cos(direction)
        centre = (self.pixels - 1) / 2
        return float(y / self.pitch + centre), float(x / self.pitch + centre)

    def box(self, u: float, v: float, reach: float) -> tuple[slice, slice] | None:
        """The pixels within `reach` cm of a point of the skin, or None when it is not in view."""
        row, column = self.locate(u, v)
        half = reach / self.pitch + 1
        top, bottom = max(0, int(row - half)), min(self.pixels, int(row + half) + 2)
        left, right = max(0, int(column - half)), min(self.pixels, int(column + half) + 2)
        if top >= bottom or left >= right:
            return None
        return slice(top, bottom), slice(left, right)


def draw_view(
    skin: Skin, rng: np.random.Generator, pixels: int, width: float, shift: tuple[float, float]
) -> View:
    """Places the camera.

    Args:
        skin: the patient's skin.
        rng: the view's generator.
        pixels: width and height of the rendering.
        width: of the field of view, cm.
        shift: the skin coordinates (cm) in the middle of the picture.

    Returns:
        The view.
    """
    direction = float(rng.uniform(0, np.pi) if skin.site == "flat" else rng.normal(1.4, 0.5))
    radius = skin.radius
    slack = max(0.0, radius - 0.3 * width)
    across = float(np.clip(rng.normal(0, 0.35) * radius, -slack, slack)) if radius < 50 else 0.0
    pitch = width / pixels
    line = ((np.arange(pixels) - (pixels - 1) / 2) * pitch).astype(np.float32)
    x, y = line[None, :], line[:, None]
    cosine, sine = np.float32(np.cos(direction)), np.float32(np.sin(direction))
    side = np.clip((y * cosine - x * sine + np.float32(across)) / np.float32(radius), -3, 3)
    inside = np.clip(side, -0.985, 0.985)
    u = x * cosine + y * sine + np.float32(shift[0])
    v = np.float32(radius) * (np.arcsin(inside) - np.float32(np.arcsin(across / radius)))
    v += np.float32(shift[1])
    depth = np.sqrt(1 - inside**2)
    normal = np.stack([-inside * sine, inside * cosine, depth], axis=-1)
    body = np.clip((1 - np.abs(side)) * radius / pitch + 0.5, 0, 1)
    return View(
        pitch=pitch,
        u=u,
        v=v,
        body=body,
        normal=normal,
        warp=(
            sample_noise("cloud", skin, u, v, 60.0, 0.0),
            sample_noise("cloud", skin, u, v, 60.0, 21.0),
        ),
        ruffle=(
            sample_noise("cloud", skin, u, v, 17.0, 4.0),
            sample_noise("cloud", skin, u, v, 17.0, 9.1),
        ),
        _frame=(direction, radius, across, shift[0], shift[1]),
    )


def sample_noise(
    tile: str, skin: Skin, u: FloatImage, v: FloatImage, period: float, shift: float
) -> FloatImage:
    """Noise that is fixed to the patient's skin.

    Args:
        tile: cloud, grain or cells.
        skin: whose skin.
        u: N x N, cm.
        v: N x N, cm.
        period: side of the tile on the skin, cm.
        shift: moves to another, unrelated part of the tile, cm.

    Returns:
        N x N, mean about 0, deviation about 1.
    """
    scale = np.float32(_TILE / period)
    table = noise_tiles()[tile]
    coarse = tile == "cloud" and u.shape[0] % 4 == 0
    if coarse:
        # Clouds are smooth: a sixteenth of the pixels, enlarged, looks the same.
        height, width = u.shape
        u = (u[1::4, 1::4] + u[2::4, 2::4]) / 2
        v = (v[1::4, 1::4] + v[2::4, 2::4]) / 2
    rows = (u + np.float32(skin.offset[0] + shift)) * scale
    columns = (v + np.float32(skin.offset[1] + 1.7 * shift)) * scale
    if tile != "cloud":
        return table[rows.astype(np.int32) % _TILE, columns.astype(np.int32) % _TILE]
    noise: FloatImage = map_coordinates(
        table, np.stack([rows, columns]), order=1, mode="grid-wrap", output=np.float32
    )
    if coarse:
        enlarged = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
        noise = np.asarray(enlarged)
    return noise
