"""Lights and photographs a phantom surface: light, lens, sensor, white balance, JPEG, logo."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter, uniform_filter

from hzsynth.data.config import Cohort
from hzsynth.data.sources.phantom_body import FloatImage, Skin, View
from hzsynth.data.sources.phantom_surface import Surface


@dataclass(frozen=True)
class Camera:
    """One photograph's light and camera.

    Attributes:
        light: unit vector towards the light.
        ambient: share of light from everywhere.
        falloff: how much a flash weakens from the middle to the corner.
        gloss: strength of reflections on the skin itself.
        gains: white balance, linear RGB.
        exposure: factor on linear light.
        contrast: steepness of the tone curve around the middle, 1 is none.
        saturation: 1 is none.
        blur: deviation of the lens blur, share of the picture's width.
        vignette: darkening of the corners.
        noise: deviation of the sensor noise at mid grey, of [0, 1].
        quality: of the JPEG.
        background: linear RGB of the cloth behind the body.
    """

    light: FloatImage
    ambient: float
    falloff: float
    gloss: float
    gains: FloatImage
    exposure: float
    contrast: float
    saturation: float
    blur: float
    vignette: float
    noise: float
    quality: int
    background: FloatImage


_CLOTHS = (
    (0.012, 0.012, 0.015),
    (0.02, 0.06, 0.25),
    (0.03, 0.10, 0.09),
    (0.25, 0.27, 0.30),
    (0.55, 0.56, 0.58),
    (0.16, 0.10, 0.07),
    (0.10, 0.20, 0.32),
)


def draw_camera(cohort: Cohort, rng: np.random.Generator) -> Camera:
    """Draws a photograph's camera; the two cohorts come from two clinics with other habits."""
    flash = rng.random() < (0.6 if cohort == "western" else 0.3)
    tilt = rng.uniform(0.05, 0.3) if flash else rng.uniform(0.3, 0.8)
    turn = rng.uniform(0, 2 * np.pi)
    light = np.array([np.cos(turn) * np.sin(tilt), np.sin(turn) * np.sin(tilt), np.cos(tilt)])
    if cohort == "western":
        warm, contrast, saturation, noise = rng.normal(0.0, 0.04), 1.12, 1.08, 0.012
    else:
        warm, contrast, saturation, noise = rng.normal(0.015, 0.025), 0.97, 0.95, 0.02
    cloth = np.array(_CLOTHS[int(rng.integers(len(_CLOTHS)))]) * rng.uniform(0.6, 1.4)
    return Camera(
        light=light.astype(np.float32),
        ambient=float(rng.uniform(0.3, 0.45) if flash else rng.uniform(0.4, 0.65)),
        falloff=float(rng.uniform(0.1, 0.35) if flash else rng.uniform(0, 0.08)),
        gloss=float(rng.uniform(0.02, 0.12) if flash else rng.uniform(0.0, 0.04)),
        gains=np.array([1 + warm, 1 - 0.2 * warm, 1 - 1.2 * warm], np.float32),
        exposure=float(np.exp(rng.normal(0.02, 0.1))),
        contrast=float(contrast * rng.normal(1, 0.05)),
        saturation=float(saturation * rng.normal(1, 0.06)),
        blur=float(rng.choice([0.0015, 0.003, 0.006], p=[0.5, 0.35, 0.15])),
        vignette=float(rng.uniform(0, 0.22)),
        noise=float(noise * rng.lognormal(0, 0.4)),
        quality=int(rng.integers(68, 96)),
        background=cloth.astype(np.float32),
    )


def light_surface(surface: Surface, skin: Skin, view: View, camera: Camera) -> FloatImage:
    """Linear RGB radiance, N x N x 3: Lambert shading, Blinn-Phong reflections, background."""
    slope_y, slope_x = np.gradient(surface.height, view.pitch)
    normal = view.normal - np.stack(
        [np.clip(slope_x, -1.2, 1.2), np.clip(slope_y, -1.2, 1.2), np.zeros_like(slope_x)], -1
    )
    normal /= np.sqrt(np.einsum("ijk,ijk->ij", normal, normal))[..., None]
    lit = np.maximum(normal @ camera.light, 0)
    shade = camera.ambient + (1 - camera.ambient) * lit / camera.light[2]
    halfway = camera.light + np.array([0, 0, 1], np.float32)
    halfway /= np.linalg.norm(halfway)
    mirror = np.maximum(normal @ halfway, 0)
    line = np.linspace(-1, 1, view.pixels, dtype=np.float32)
    corner = line[:, None] ** 2 + line[None, :] ** 2
    shade *= 1 - np.float32(camera.falloff / 2) * corner
    radiance = surface.albedo(skin) * shade[..., None]
    shine = np.float32(camera.gloss) * mirror**12 + surface.gloss * mirror**45
    radiance += shine[..., None]
    cloth = camera.background * (1 + 0.15 * view.warp[0])[..., None]
    seen = view.body[..., None]
    light: FloatImage = radiance * seen + np.maximum(cloth, 0) * shade[..., None] * (1 - seen)
    return light


def photograph(
    radiance: FloatImage, camera: Camera, rng: np.random.Generator, oversampling: int
) -> NDArray[np.uint8]:
    """Turns light into a picture.

    Args:
        radiance: linear RGB, (size * oversampling) squared x 3.
        camera: the camera.
        rng: the view's generator, for the sensor's noise.
        oversampling: pixels of the rendering a pixel of the picture.

    Returns:
        size x size x 3, uint8 sRGB.
    """
    side = radiance.shape[0]
    sigma = camera.blur * side
    light = gaussian_filter(radiance, (sigma, sigma, 0)) if sigma > 0.3 else radiance
    size = side // oversampling
    light = light.reshape(size, oversampling, size, oversampling, 3).mean(axis=(1, 3))
    line = np.linspace(-1, 1, size, dtype=np.float32)
    corner = (line[:, None] ** 2 + line[None, :] ** 2)[..., None]
    light = light * (camera.gains * np.float32(camera.exposure))
    light *= 1 - np.float32(camera.vignette / 2) * corner**2
    light = np.clip(light, 0, 1.5)
    light = np.where(light > 0.8, 0.8 + (1 - np.exp(-(light - 0.8) / 0.2)) * 0.2, light)
    picture = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    grey = picture.mean(axis=2, keepdims=True)
    picture = grey + np.float32(camera.saturation) * (picture - grey)
    picture = 0.55 + np.float32(camera.contrast) * (picture - 0.55)
    noise = rng.standard_normal((size, size, 3), dtype=np.float32)
    # Demosaicing spreads colour noise over neighbours; brightness noise stays fine.
    noise = 0.5 * noise.mean(axis=2, keepdims=True) * 1.7 + uniform_filter(noise, (3, 3, 1)) * 0.8
    picture = picture + camera.noise * noise * np.sqrt(np.clip(1.2 - picture, 0.3, 1))
    pixels: NDArray[np.uint8] = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    return pixels


def encode_and_decode(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """What a JPEG of that quality leaves of a picture."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    with Image.open(io.BytesIO(buffer.getvalue())) as picture:
        return np.asarray(picture.convert("RGB"))


def stamp_logo(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stamps the white mark of an invented photo archive bottom left, as web archives do."""
    size = pixels.shape[0]
    layer = Image.new("L", (4 * size, 4 * size), 0)
    pen = ImageDraw.Draw(layer)
    unit = 4 * size / 100
    pen.ellipse([3 * unit, 80 * unit, 18 * unit, 95 * unit], outline=255, width=int(1.2 * unit))
    pen.line([7 * unit, 91 * unit, 14 * unit, 84 * unit], fill=255, width=int(1.2 * unit))
    pen.text((20 * unit, 83 * unit), "DermArchive", fill=255, font=ImageFont.load_default(9 * unit))
    ink = np.asarray(layer.resize((size, size), Image.Resampling.BOX), dtype=np.float32) / 255
    blended = pixels + (0.85 * ink)[..., None] * (255.0 - pixels)
    stamped: NDArray[np.uint8] = np.round(blended).astype(np.uint8)
    return stamped
