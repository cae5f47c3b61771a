"""The diseases of the phantom: what each draws on a patient's skin.

The pictures follow the textbook descriptions: zoster is groups of vesicles on red ground along a
band; eczema is ill-defined and scaly; an insect bite is a few wheals, each with a punctum;
contact dermatitis has the sharp outline of what touched the skin, often with tiny
vesicles; cellulitis is one large, warm, swollen redness. The classes overlap on purpose.
Every draw comes from the patient's generator and lies in skin coordinates, so that two
photographs of one patient show one and the same disease.
"""

from collections.abc import Callable

import numpy as np

from hzsynth.data.sources.phantom_body import FloatImage, Skin, View, sample_noise
from hzsynth.data.sources.phantom_surface import (
    EVERYWHERE,
    Surface,
    blob,
    draw_lines,
    smooth_step,
)
from hzsynth.data.sources.phantom_vesicles import Stage, Vesicle, draw_vesicles, scatter

Draw = Callable[[Surface, Skin, View, np.random.Generator], None]


def _redden(surface: Surface, view: View, patch: FloatImage, density: float) -> None:
    """Adds uneven redness; swelling evens out the skin's relief a little."""
    uneven = 1 + 0.22 * view.ruffle[1] + 0.2 * view.warp[0]
    surface.haemoglobin += np.float32(density) * patch * np.clip(uneven, 0.35, 1.8)
    np.maximum(surface.smooth, 0.3 * patch, out=surface.smooth)
    if density > 0.12:
        surface.mark(EVERYWHERE, patch)


def _scale(surface: Surface, skin: Skin, view: View, patch: FloatImage, amount: float) -> None:
    """Adds white, flaky scale on a share of the patch."""
    grain = sample_noise("grain", skin, view.u, view.v, 11.0, 7.0)
    cloud = sample_noise("cloud", skin, view.u, view.v, 8.0, 1.0)
    flakes = smooth_step(1.9 - amount, 3.4 - amount, grain + 1.2 * cloud) * patch
    surface.paint(EVERYWHERE, np.float32(0.6) * flakes, (0.62, 0.54, 0.47))
    surface.height += np.float32(0.012) * flakes


def _zoster_stages(rng: np.random.Generator) -> tuple[dict[Stage, float], float]:
    """Mixture of stages and how many vesicles there are, by the day of the disease."""
    day = rng.choice(5, p=[0.17, 0.33, 0.2, 0.2, 0.1])
    mixtures: tuple[tuple[dict[Stage, float], float], ...] = (
        ({"papule": 1.0, "clear": 0.1}, 0.5),
        ({"clear": 1.0, "papule": 0.25, "pustule": 0.15}, 1.0),
        ({"pustule": 0.8, "umbilicated": 0.7, "clear": 0.4, "crust": 0.1}, 1.0),
        ({"crust": 1.0, "umbilicated": 0.2, "papule": 0.2}, 0.8),
        ({"haemorrhagic": 1.0, "crust": 0.5, "clear": 0.3}, 0.9),
    )
    return mixtures[int(day)]


def draw_herpes_zoster(surface: Surface, skin: Skin, view: View, rng: np.random.Generator) -> None:
    """Groups of vesicles on irregular redness along a curved band (a dermatome)."""
    stages, abundance = _zoster_stages(rng)
    # A dermatome runs around the trunk and along a limb.
    course = rng.normal(0.0 if skin.site == "limb" else np.pi / 2, 0.35)
    bend = rng.normal(0, 0.035)
    severity = float(np.clip(rng.lognormal(-0.15, 0.45), 0.25, 1.7))
    redness = float(np.clip(rng.normal(0.65, 0.25), 0.15, 1.3))
    groups = int(rng.integers(2, 8))
    size = float(rng.uniform(0.13, 0.24))
    places = np.sort(rng.uniform(-6, 6, groups))
    places[int(rng.integers(groups))] = rng.normal(0, 0.6)
    vesicles: list[Vesicle] = []
    for place in places:
        side = bend * place**2 + rng.normal(0, 0.55)
        u = place * np.cos(course) - side * np.sin(course)
        v = place * np.sin(course) + side * np.cos(course)
        radii = rng.uniform(0.7, 2.3) * severity**0.5, rng.uniform(0.5, 1.4)
        patch = blob(view, (u, v), radii, course + rng.normal(0, 0.3), 0.5, rng.uniform(0.2, 0.5))
        _redden(surface, view, patch, redness * rng.uniform(0.6, 1.1))
        count = int(rng.poisson(11 * severity * abundance))
        spread = 0.5 * radii[0], 0.5 * radii[1]
        vesicles += scatter(rng, count, (u, v), spread, course, (size, 0.3), stages, 0.45 * redness)
    if rng.random() < 0.4:
        band = blob(view, (0, 0), (6.5, 1.3), course, 0.6, 0.6)
        _redden(surface, view, band, 0.45 * redness)
    draw_vesicles(surface, skin, view, vesicles)


def draw_eczema(surface: Surface, skin: Skin, view: View, rng: np.random.Generator) -> None:
    """Ill-defined scaly plaques with scratch marks, sometimes weeping or crusted."""
    severity = float(np.clip(rng.lognormal(-0.1, 0.4), 0.3, 1.6))
    redness = float(np.clip(rng.normal(0.45, 0.17), 0.12, 0.9))
    scale = float(rng.uniform(0.0, 1.1))
    total = np.zeros_like(view.u)
    for index in range(int(rng.integers(1, 7))):
        centre = (0.0, 0.0) if index == 0 else tuple(rng.normal(0, 3.2, 2))
        radii = tuple(rng.uniform(0.8, 3.2, 2) * severity**0.5)
        patch = blob(view, centre, radii, rng.uniform(0, 3), 0.7, rng.uniform(0.35, 0.95))
        _redden(surface, view, patch, redness * rng.uniform(0.6, 1.1))
        total = np.maximum(total, patch)
    if rng.random() < 0.75:
        _scale(surface, skin, view, total, scale)
    thick = np.float32(rng.uniform(0, 0.012))
    surface.height += thick * total * sample_noise("cells", skin, view.u, view.v, 26.0, 4.0)
    stages: dict[Stage, float] = {"papule": 1.0, "crust": 0.0, "clear": 0.0}
    wet = rng.random()
    if wet < 0.3:
        stages |= {"crust": 0.9, "clear": 0.15}
    papules = scatter(rng, int(rng.poisson(14 * severity)), (0, 0), (1.9, 1.9), 0.0, (0.09, 0.35),
                      stages, 0.25)  # fmt: skip
    draw_vesicles(surface, skin, view, papules)
    if rng.random() < 0.5:
        paths = []
        for _ in range(int(rng.integers(2, 12))):
            start, turn = rng.normal(0, 1.8, 2), rng.normal(0.8, 0.4)
            length = rng.uniform(0.4, 1.8)
            end = start + length * np.array([np.cos(turn), np.sin(turn)])
            paths.append([tuple(start), tuple(end)])
        scratches = draw_lines(view, paths, 0.05, 0.8)
        surface.haemoglobin += 0.9 * scratches
        surface.bruise += 0.35 * scratches
        surface.mark(EVERYWHERE, smooth_step(0.2, 0.6, scratches))


def draw_insect_bite(surface: Surface, skin: Skin, view: View, rng: np.random.Generator) -> None:
    """A few wheals with a central punctum, now and then in a row or with a blister on top."""
    count = int(rng.integers(1, 9))
    in_row = rng.random() < 0.35
    course, redness = rng.uniform(0, np.pi), float(np.clip(rng.normal(0.42, 0.15), 0.15, 0.85))
    blister = rng.random() < 0.25
    scratched = rng.random() < 0.3
    vesicles: list[Vesicle] = []
    for index in range(count):
        place = rng.normal(0, 2.6)
        side = rng.normal(0, 0.5 if in_row else 2.6)
        u, v = (
            (rng.normal(0, 0.5), rng.normal(0, 0.5))
            if index == 0
            else (
                place * np.cos(course) - side * np.sin(course),
                place * np.sin(course) + side * np.cos(course),
            )
        )
        radius = float(rng.lognormal(np.log(0.5), 0.4))
        halo = blob(view, (u, v), (2.0 * radius, 1.8 * radius), course, 0.4, 0.7)
        wheal = blob(view, (u, v), (radius, 0.85 * radius), rng.uniform(0, 3), 0.2, 0.55)
        _redden(surface, view, halo, 0.6 * redness)
        surface.haemoglobin += np.float32(rng.uniform(-0.15, 0.35) * redness) * wheal
        surface.height += np.float32(0.11 * radius) * wheal
        surface.smooth = np.maximum(surface.smooth, 0.7 * wheal)
        surface.mark(EVERYWHERE, wheal)
        stage: Stage = "clear" if blister and rng.random() < 0.6 else "haemorrhagic"
        punctum = rng.uniform(0.15, 0.4) if stage == "clear" else rng.uniform(0.04, 0.09)
        if scratched and rng.random() < 0.6:
            stage, punctum = "crust", rng.uniform(0.08, 0.2)
        vesicles.append(Vesicle(u, v, float(punctum), stage, 0.4, 1.1, course))
    draw_vesicles(surface, skin, view, vesicles)


def _contact_outline(view: View, rng: np.random.Generator) -> tuple[FloatImage, float, float]:
    """The outline of what touched the skin, its main direction and its half length (cm)."""
    angle = rng.uniform(0, np.pi)
    bend = rng.uniform(0.03, 0.35)
    u = view.u + np.float32(bend) * (view.warp[0] + 0.4 * view.ruffle[0])
    v = view.v + np.float32(bend) * (view.warp[1] + 0.4 * view.ruffle[1])
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along, across = u * cosine + v * sine, v * cosine - u * sine
    soft = rng.uniform(0.08, 0.4)
    shape = rng.choice(["plaster", "strap", "buckle", "drip"], p=[0.35, 0.3, 0.15, 0.2])
    if shape == "plaster":
        half = rng.uniform(1.2, 3.4), rng.uniform(0.9, 2.2)
        edge = np.maximum(np.abs(along) - half[0], np.abs(across) - half[1])
    elif shape == "strap":
        half = rng.uniform(6, 14), rng.uniform(0.5, 1.3)
        edge = np.maximum(np.abs(along) - half[0], np.abs(across) - half[1])
    elif shape == "buckle":
        half = rng.uniform(1.2, 2.6), rng.uniform(0.3, 0.8)
        edge = np.abs(np.hypot(along, across) - half[0]) - half[1]
    else:
        # A drip or a leaf drawn over the skin: a streak that narrows and bends.
        half = rng.uniform(2.5, 6.0), rng.uniform(0.4, 1.0)
        bent = across - np.float32(rng.normal(0, 0.06)) * along**2
        width = half[1] * np.clip(1 - (along / half[0]) ** 2, 0, 1) ** 0.5
        edge = np.where(np.abs(along) < half[0], np.abs(bent) - width, 1.0)
    return smooth_step(soft, -soft, edge.astype(np.float32)), float(angle), float(half[0])


def draw_contact_dermatitis(
    surface: Surface, skin: Skin, view: View, rng: np.random.Generator
) -> None:
    """Sharp, geometric redness with small vesicles in most patients."""
    redness = float(np.clip(rng.normal(0.5, 0.18), 0.15, 1.0))
    patch, angle, half = _contact_outline(view, rng)
    _redden(surface, view, patch, redness)
    blotches = smooth_step(-0.6, 1.4, sample_noise("cloud", skin, view.u, view.v, 9.0, 13.0))
    surface.haemoglobin += np.float32(rng.uniform(0, 0.7) * redness) * blotches * patch
    surface.height += np.float32(rng.uniform(0.0, 0.03)) * patch
    if rng.random() < 0.4:
        spill = blob(view, (0, 0), (min(half, 4) * 1.3, 2.2), angle, 0.6, 0.8)
        _redden(surface, view, spill, 0.4 * redness)
    kind = rng.random()
    if kind < 0.75:
        stages: dict[Stage, float] = {"clear": 0.8, "papule": 0.6, "pustule": 0.1, "crust": 0.2}
        if kind < 0.2:
            stages = {"crust": 1.0, "clear": 0.4, "papule": 0.3}
        size = float(rng.uniform(0.06, 0.18))
        count = int(rng.poisson(rng.uniform(8, 45)))
        spread = min(half, 4.0) * 0.5
        drawn = scatter(rng, count, (0, 0), (spread, 0.6), angle, (size, 0.3), stages, 0.3)
        draw_vesicles(surface, skin, view, drawn)
    if rng.random() < 0.4:
        _scale(surface, skin, view, patch, float(rng.uniform(0, 0.8)))


def draw_cellulitis(surface: Surface, skin: Skin, view: View, rng: np.random.Generator) -> None:
    """One large, swollen, shining redness; at times with bullae, a wound or a pen line."""
    redness = float(np.clip(rng.normal(0.5, 0.18), 0.15, 1.0))
    centre = tuple(rng.normal(0, 2.5, 2))
    radii = float(rng.uniform(3.0, 9.0)), float(rng.uniform(2.5, 6.0))
    angle = float(rng.normal(0, 0.5))
    soft = float(rng.uniform(0.12, 0.6))
    patch = blob(view, centre, radii, angle, 0.3, soft)
    _redden(surface, view, patch, redness)
    surface.smooth = np.maximum(surface.smooth, 0.75 * patch)
    surface.height += np.float32(0.35) * blob(view, centre, radii, angle, 0.0, 0.9)
    surface.gloss += np.float32(rng.uniform(0.0, 0.16)) * patch
    if rng.random() < 0.3:
        purple = smooth_step(0.3, 1.6, sample_noise("cloud", skin, view.u, view.v, 14.0, 6.0))
        surface.bruise += 0.4 * purple * patch
    if rng.random() < 0.3:
        stages: dict[Stage, float] = {"clear": 1.0, "haemorrhagic": 0.4, "crust": 0.5}
        count, size = int(rng.integers(1, 8)), float(rng.uniform(0.2, 0.5))
        draw_vesicles(
            surface, skin, view,
            scatter(rng, count, (0, 0), (1.6, 1.6), 0.0, (size, 0.35), stages, 0.3),
        )  # fmt: skip
    if rng.random() < 0.12:
        _pen_line(surface, view, centre, radii, angle)


def _pen_line(
    surface: Surface,
    view: View,
    centre: tuple[float, ...],
    radii: tuple[float, float],
    angle: float,
) -> None:
    """The ink line with which a ward follows the border."""
    path = []
    for t in np.linspace(0, 2 * np.pi, 60):
        first = 1.15 * radii[0] * np.cos(t) * (1 + 0.06 * np.sin(5 * t))
        second = 1.15 * radii[1] * np.sin(t) * (1 + 0.05 * np.sin(3 * t))
        path.append(
            (
                centre[0] + first * np.cos(angle) - second * np.sin(angle),
                centre[1] + first * np.sin(angle) + second * np.cos(angle),
            )
        )
    ink = draw_lines(view, [path], 0.06, 0.7)
    surface.paint(EVERYWHERE, 0.75 * ink, (0.03, 0.03, 0.07))


def draw_normal(surface: Surface, skin: Skin, view: View, rng: np.random.Generator) -> None:
    """No disease; a part has the blotches of pressure, warmth or rough follicles."""
    kind = rng.random()
    if kind < 0.25:
        for _ in range(int(rng.integers(1, 4))):
            patch = blob(
                view, tuple(rng.normal(0, 3, 2)), tuple(rng.uniform(1, 5, 2)), 0.0, 0.8, 0.9
            )
            surface.haemoglobin += np.float32(rng.uniform(0.02, 0.1)) * patch
    elif kind < 0.35:
        spots = rng.uniform(-6, 6, size=(120, 2))
        for u, v in spots:
            where = view.box(u, v, 0.15)
            if where is not None:
                distance = np.hypot(view.u[where] - u, view.v[where] - v) / np.float32(0.09)
                dot = smooth_step(1.4, 0.3, distance.astype(np.float32))
                surface.haemoglobin[where] += np.float32(0.14) * dot
                surface.height[where] += np.float32(0.015) * dot


DISEASES: dict[str, Draw] = {
    "herpes_zoster": draw_herpes_zoster,
    "eczema": draw_eczema,
    "insect_bite": draw_insect_bite,
    "contact_dermatitis": draw_contact_dermatitis,
    "cellulitis": draw_cellulitis,
    "normal": draw_normal,
}
"""Every class of the phantom and what draws it."""
