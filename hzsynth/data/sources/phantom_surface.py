"""The painted skin of a phantom: pigment, relief, gloss and the lesion's extent.

A `Surface` collects what skin and disease put on a view; `phantom_camera` lights and
photographs it. Drawing functions here know skin (relief, veins, moles, hair); what
diseases draw is in `phantom_lesions`.
"""

from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from hzsynth.data.sources.phantom_body import (
    BRUISE,
    HAEMOGLOBIN,
    MELANIN,
    VEIN,
    FloatImage,
    Skin,
    View,
    sample_noise,
)

Colour = tuple[float, float, float]


@dataclass
class Surface:
    """Layers that disease and skin add up on, all N x N.

    Attributes:
        haemoglobin: optical density of extra blood (0 healthy, 1 deep red).
        melanin: optical density of extra pigment.
        bruise: optical density of blood that left the vessels.
        vein: optical density of deep vessels.
        height: relief above the smooth body, cm.
        gloss: strength of the mirror-like reflection.
        smooth: how far swelling has flattened the skin's own relief, 0 to 1.
        lesion: how much a pixel belongs to the lesion, 0 to 1.
        cover: N x N x 3, colour of what lies on the skin, weighted by its opacity.
        through: share of the skin that is seen through the cover.
    """

    pixels: int
    haemoglobin: FloatImage = field(init=False)
    melanin: FloatImage = field(init=False)
    bruise: FloatImage = field(init=False)
    vein: FloatImage = field(init=False)
    height: FloatImage = field(init=False)
    gloss: FloatImage = field(init=False)
    smooth: FloatImage = field(init=False)
    lesion: FloatImage = field(init=False)
    cover: FloatImage = field(init=False)
    through: FloatImage = field(init=False)

    def __post_init__(self) -> None:
        shape = (self.pixels, self.pixels)
        for name in (
            "haemoglobin", "melanin", "bruise", "vein", "height", "gloss", "smooth", "lesion",
        ):  # fmt: skip
            setattr(self, name, np.zeros(shape, np.float32))
        self.cover = np.zeros((*shape, 3), np.float32)
        self.through = np.ones(shape, np.float32)

    def paint(
        self, where: tuple[slice, slice], opacity: FloatImage, colour: Colour | FloatImage
    ) -> None:
        """Lays a substance of some opacity (0 to 1) over the skin; colour is linear RGB."""
        seen = (1 - opacity)[..., None]
        self.cover[where] = self.cover[where] * seen + opacity[..., None] * np.asarray(
            colour, np.float32
        )
        self.through[where] *= 1 - opacity

    def mark(self, where: tuple[slice, slice], membership: FloatImage) -> None:
        """Counts pixels as lesion."""
        np.maximum(self.lesion[where], membership, out=self.lesion[where])

    def albedo(self, skin: Skin) -> FloatImage:
        """Linear RGB reflectance, N x N x 3, of skin with everything that lies on it."""
        density = (
            self.haemoglobin[..., None] * HAEMOGLOBIN
            + self.melanin[..., None] * MELANIN
            + self.bruise[..., None] * BRUISE
            + self.vein[..., None] * VEIN
        )
        seen: FloatImage = skin.reflectance * np.exp(-density)
        return seen * self.through[..., None] + self.cover


EVERYWHERE = (slice(None), slice(None))


def smooth_step(low: float, high: float, x: FloatImage) -> FloatImage:
    """0 below `low`, 1 above `high`, smooth between (reversed when low > high)."""
    t = np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1)
    result: FloatImage = t * t * (3 - 2 * t)
    return result


def blob(
    view: View,
    centre: tuple[float, float],
    radii: tuple[float, float],
    angle: float = 0.0,
    warp: float = 0.3,
    softness: float = 0.3,
) -> FloatImage:
    """An irregular patch on the skin.

    Args:
        view: the view.
        centre: skin coordinates, cm.
        radii: half axes, cm.
        angle: of the first axis, radians.
        warp: how far the outline is bent, in radii.
        softness: width of the edge, in radii.

    Returns:
        Membership, N x N in [0, 1].
    """
    bend = np.float32(warp * min(radii))
    rough = np.float32(0.3)
    du = view.u - np.float32(centre[0]) + bend * (view.warp[0] + rough * view.ruffle[0])
    dv = view.v - np.float32(centre[1]) + bend * (view.warp[1] + rough * view.ruffle[1])
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    first = (du * cosine + dv * sine) / np.float32(radii[0])
    second = (dv * cosine - du * sine) / np.float32(radii[1])
    return smooth_step(1 + softness, 1 - softness, np.sqrt(first**2 + second**2))


def draw_healthy(surface: Surface, skin: Skin, view: View) -> None:
    """Adds what healthy skin has: uneven redness, veins, relief, moles and freckles."""
    uneven = view.ruffle[0] + 0.8 * view.warp[0]
    surface.haemoglobin += np.float32(0.04 * skin.mottling) * np.clip(uneven, -1.5, 3)
    surface.melanin += np.float32(0.03) * view.warp[1]
    if skin.veins > 0.1:
        ridge = np.exp(-((view.warp[1] - 0.3 * view.warp[0]) ** 2) / 0.012)
        surface.vein += np.float32(0.4 * skin.veins) * ridge
    grain = sample_noise("grain", skin, view.u, view.v, 9.0, 5.0)
    cells = sample_noise("cells", skin, view.u, view.v, 16.0, 2.0)
    relief = np.float32(0.0035 * skin.roughness) * (cells + 0.8 * grain)
    surface.height += relief * (1 - surface.smooth)
    surface.haemoglobin -= np.float32(0.025 * skin.roughness) * cells * (1 - surface.smooth)
    _draw_landmark(surface, skin, view)
    for u, v, radius, density in skin.marks:
        where = view.box(u, v, 1.6 * radius)
        if where is None:
            continue
        distance = np.hypot(view.u[where] - u, view.v[where] - v) / radius
        spot = smooth_step(1.5, 0.4, distance.astype(np.float32))
        surface.melanin[where] += np.float32(density) * spot
        if density > 0.9:
            surface.height[where] += np.float32(0.15 * radius) * spot


def _draw_landmark(surface: Surface, skin: Skin, view: View) -> None:
    if not skin.landmark:
        return
    u, v = skin.landmark_place
    where = view.box(u, v, 2.5)
    if where is None:
        return
    distance = np.hypot(view.u[where] - u, view.v[where] - v)
    distance = distance * (1 + 0.06 * view.ruffle[0][where])
    if skin.landmark == "nipple":
        areola, tip = smooth_step(1.25, 1.0, distance), smooth_step(0.45, 0.2, distance)
        surface.melanin[where] += 0.45 * areola + 0.15 * tip
        surface.haemoglobin[where] += 0.25 * areola
        surface.height[where] += 0.25 * tip
    else:
        hollow = smooth_step(0.9, 0.2, distance)
        surface.height[where] -= 0.5 * hollow
        surface.melanin[where] += 0.9 * smooth_step(0.5, 0.1, distance)
        surface.haemoglobin[where] += 0.3 * hollow


def draw_lines(
    view: View, paths: list[list[tuple[float, float]]], width: float, blur: float = 0.5
) -> FloatImage:
    """Draws lines given in skin coordinates.

    Args:
        view: the view.
        paths: each a list of (u, v) in cm.
        width: of the line, cm.
        blur: deviation of the softening, pixels.

    Returns:
        N x N in [0, 1].
    """
    canvas = Image.new("L", (view.pixels, view.pixels), 0)
    pen = ImageDraw.Draw(canvas)
    for path in paths:
        points = [(x, y) for y, x in (view.locate(u, v) for u, v in path)]
        if all(abs(x) < 1e5 for x, _ in points):
            pen.line(points, fill=255, width=max(1, round(width / view.pitch)), joint="curve")
    if blur:
        canvas = canvas.filter(ImageFilter.GaussianBlur(blur))
    return np.asarray(canvas, dtype=np.float32) / 255


def draw_hair(surface: Surface, skin: Skin, view: View, rng: np.random.Generator) -> None:
    """Adds hairs; `rng` is the patient's, so the same hairs grow in every view."""
    if skin.hairs == 0:
        return
    count = int(skin.hairs * 200)
    roots = rng.uniform(-10, 10, size=(count, 2))
    lean = rng.uniform(0, 2 * np.pi)
    angles = lean + rng.normal(0, 0.35, count)
    lengths = rng.uniform(0.35, 1.3, count)
    curls = rng.normal(0, 0.5, count)
    paths = []
    for (u, v), angle, length, curl in zip(roots, angles, lengths, curls, strict=True):
        if view.box(u, v, length) is None:
            continue
        steps = np.linspace(0, 1, 4)
        turn = angle + curl * steps
        paths.append(
            [
                (u + length * s * np.cos(t), v + length * s * np.sin(t))
                for s, t in zip(steps, turn, strict=True)
            ]
        )
    strand = draw_lines(view, paths, 0.012, blur=0.6)
    shade = skin.hair_shade
    colour = (0.03 + 0.4 * shade, 0.02 + 0.3 * shade, 0.015 + 0.15 * shade)
    surface.paint(EVERYWHERE, strand * np.float32(0.65), colour)
