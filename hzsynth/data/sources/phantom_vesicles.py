"""Small raised lesions of a phantom: vesicles, pustules, crusts, papules and wheals."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hzsynth.data.sources.phantom_body import Skin, View, sample_noise
from hzsynth.data.sources.phantom_surface import Surface, smooth_step

Stage = Literal["papule", "clear", "pustule", "umbilicated", "haemorrhagic", "crust"]
STAGES: tuple[Stage, ...] = ("papule", "clear", "pustule", "umbilicated", "haemorrhagic", "crust")


@dataclass(frozen=True)
class Vesicle:
    """One small raised lesion, in skin coordinates.

    Attributes:
        u: centre along the body, cm.
        v: centre around the body, cm.
        radius: cm.
        stage: what it looks like.
        redness: optical density of the red halo.
        stretch: ratio of its axes.
        tilt: of the long axis, radians.
        gloss: strength of the highlight on its roof.
    """

    u: float
    v: float
    radius: float
    stage: Stage
    redness: float
    stretch: float
    tilt: float
    gloss: float = 0.2


def scatter(
    rng: np.random.Generator,
    count: int,
    centre: tuple[float, float],
    spread: tuple[float, float],
    angle: float,
    radius: tuple[float, float],
    stages: dict[Stage, float],
    redness: float = 0.35,
) -> list[Vesicle]:
    """Places vesicles around a centre, touching but hardly overlapping, as in a herpetic group.

    Args:
        rng: the patient's generator.
        count: wanted number; fewer when they do not fit.
        centre: skin coordinates, cm.
        spread: deviations along and across, cm.
        angle: of the first deviation, radians.
        radius: median (cm) and spread of its logarithm.
        stages: how often each stage occurs (any positive weights).
        redness: of the halos.

    Returns:
        The vesicles.
    """
    gloss = float(rng.uniform(0.03, 0.4))
    weights = np.array(list(stages.values()), dtype=float)
    names = list(stages)
    placed: list[Vesicle] = []
    for _ in range(4 * count):
        if len(placed) == count:
            break
        along, across = rng.normal(0, spread[0]), rng.normal(0, spread[1])
        u = centre[0] + along * np.cos(angle) - across * np.sin(angle)
        v = centre[1] + along * np.sin(angle) + across * np.cos(angle)
        size = float(radius[0] * np.exp(rng.normal(0, radius[1])))
        stage = names[int(rng.choice(len(names), p=weights / weights.sum()))]
        strength = float(redness * rng.lognormal(0, 0.3))
        shape = float(rng.uniform(1, 1.35)), float(rng.uniform(0, np.pi))
        if all(np.hypot(o.u - u, o.v - v) > 0.8 * (o.radius + size) for o in placed):
            placed.append(Vesicle(float(u), float(v), size, stage, strength, *shape, gloss))
    return placed


def draw_vesicles(surface: Surface, skin: Skin, view: View, vesicles: list[Vesicle]) -> None:
    """Draws vesicles in their order."""
    for vesicle in vesicles:
        where = view.box(vesicle.u, vesicle.v, 2.2 * vesicle.radius)
        if where is not None:
            _draw(surface, skin, view, vesicle, where)


def _draw(
    surface: Surface, skin: Skin, view: View, vesicle: Vesicle, where: tuple[slice, slice]
) -> None:
    du, dv = view.u[where] - np.float32(vesicle.u), view.v[where] - np.float32(vesicle.v)
    cosine, sine = np.float32(np.cos(vesicle.tilt)), np.float32(np.sin(vesicle.tilt))
    root = np.float32(np.sqrt(vesicle.stretch))
    first, second = (du * cosine + dv * sine) / root, (dv * cosine - du * sine) * root
    distance = np.hypot(first, second) / np.float32(vesicle.radius)
    distance *= 1 + 0.12 * view.ruffle[0][where]
    inside = smooth_step(1.12, 0.82, distance)
    dome = np.sqrt(np.clip(1 - distance**2, 0, 1))
    halo = smooth_step(2.1, 0.9, distance)
    surface.haemoglobin[where] += np.float32(vesicle.redness) * halo
    surface.mark(where, smooth_step(1.7, 1.2, distance))
    tall, gloss = np.float32(vesicle.radius), np.float32(vesicle.gloss)
    tone = skin.reflectance / skin.reflectance.max()
    if vesicle.stage == "papule":
        surface.haemoglobin[where] += np.float32(0.8 * vesicle.redness) * inside
        surface.height[where] += 0.30 * tall * dome**2
        surface.gloss[where] += np.float32(0.06) * inside
    elif vesicle.stage == "clear":
        surface.haemoglobin[where] *= 1 - 0.25 * inside
        surface.paint(where, 0.2 * inside, 0.6 * tone**0.7)
        surface.height[where] += 0.42 * tall * dome
        surface.gloss[where] += gloss * inside
    elif vesicle.stage == "pustule":
        surface.paint(where, 0.5 * smooth_step(1.0, 0.5, distance), (0.62, 0.47, 0.25))
        surface.height[where] += 0.4 * tall * dome
        surface.gloss[where] += 0.8 * gloss * inside
    elif vesicle.stage == "umbilicated":
        dent = smooth_step(0.55, 0.15, distance)
        surface.paint(where, 0.35 * inside * (1 - dent), (0.6, 0.44, 0.34))
        surface.haemoglobin[where] += 0.7 * dent
        surface.bruise[where] += 0.35 * dent
        surface.height[where] += tall * (0.42 * dome - 0.25 * dent)
        surface.gloss[where] += 0.7 * gloss * inside * (1 - dent)
    elif vesicle.stage == "haemorrhagic":
        surface.haemoglobin[where] += 0.9 * inside
        surface.bruise[where] += 0.75 * inside
        surface.height[where] += 0.4 * tall * dome
        surface.gloss[where] += 0.7 * gloss * inside
    else:
        _draw_crust(surface, skin, view, vesicle, where, distance)


def _draw_crust(
    surface: Surface,
    skin: Skin,
    view: View,
    vesicle: Vesicle,
    where: tuple[slice, slice],
    distance: np.ndarray,
) -> None:
    grain = sample_noise("grain", skin, view.u[where], view.v[where], 7.0, 11.0)
    ragged = smooth_step(1.15, 0.75, distance * (1 + 0.13 * grain))
    # Serum dries yellow, blood dries nearly black; the halo's strength decides which it was.
    dark = float(np.clip(vesicle.redness / 0.55, 0, 1))
    colour = tuple(
        (1 - dark) * serum + dark * blood
        for serum, blood in zip((0.42, 0.24, 0.08), (0.10, 0.035, 0.025), strict=True)
    )
    surface.haemoglobin[where] += 0.3 * ragged
    shade = np.float32(1) + 0.18 * grain
    surface.paint(where, 0.85 * ragged, np.clip(shade, 0.4, 1.8)[..., None] * np.array(colour))
    surface.height[where] += np.float32(0.25 * vesicle.radius) * ragged * (1 + 0.25 * grain)
