"""Pictures of scenes: eight colours on a grey floor, a key light with an extent, a weak fill light, and a sky.

The colours are CLEVR's (see scenes.py). Pixels are also computed only with +, -, *, / and square roots, so a picture
has the same bytes on every machine. For the same reason gamma is 2.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genbench.data.objects import colour_of
from genbench.data.scenes import (
    Array,
    Rays,
    Scene,
    Solid,
    Vector,
    camera_rays,
    draw_scene,
    hit,
    interval,
    to_local,
    unit,
)
from genbench.machine.cores import cores

RGB = (  # CLEVR's, in the order of COLOURS
    (87, 87, 87),
    (173, 35, 35),
    (42, 75, 215),
    (29, 105, 20),
    (129, 74, 25),
    (129, 38, 192),
    (41, 208, 208),
    (255, 238, 51),
)
SAMPLES = ((0.375, 0.125), (0.875, 0.375), (0.125, 0.625), (0.625, 0.875))  # in a pixel: no two share a row or column
EPSILON = 1e-3  # how far above a surface a shadow ray begins
FLOOR = 0.42
KEY, FILL, SKY, BOUNCE, SHINE = 1.08, 0.1, 0.4, 0.1, 0.35


def render(scene: Scene, image_size: int) -> NDArray[np.uint8]:
    """A picture of the scene, uint8 (image_size, image_size, 3), with four rays per pixel."""
    rays = camera_rays(scene, image_size, SAMPLES)
    with np.errstate(invalid="ignore", divide="ignore"):
        colour = _shade(scene, rays)
    levels = [(channel[0] + channel[1] + channel[2] + channel[3]) / np.float32(len(SAMPLES)) for channel in colour]
    return np.stack(
        [(np.sqrt(level) * np.float32(255) + np.float32(0.5)).astype(np.uint8) for level in levels], axis=-1
    )


class Picture(NamedTuple):
    """What to draw: the number of a scene, its objects, and those of them that are shown."""

    scene: int
    objects: tuple[int, ...]
    shown: tuple[int, ...]


def render_all(pictures: Sequence[Picture], seed: int, image_size: int) -> Iterator[NDArray[np.uint8]]:
    """Render pictures on all cores, in order. A picture does not depend on the others."""

    def one(picture: Picture) -> NDArray[np.uint8]:
        return render(draw_scene(picture.objects, seed, picture.scene).showing(picture.shown), image_size)

    with ThreadPoolExecutor(cores()) as pool:
        yield from pool.map(one, pictures)


def _shade(scene: Scene, rays: Rays) -> list[Array]:
    """Linear red, green and blue of every ray, in [0, 1]."""
    depth = np.float32(-scene.camera[2]) / rays[2]  # of the floor, which fills the picture: there is no horizon
    seen = np.full(depth.shape, -1, dtype=np.int8)
    for number, solid in enumerate(scene.solids):
        near = hit(*interval(solid.shape, *to_local(solid, scene.camera, rays)))
        closer = near < depth
        np.copyto(depth, near, where=closer)
        seen[closer] = number

    px, py, pz = (np.float32(c) + depth * d for c, d in zip(scene.camera, rays, strict=True))
    nx, ny, nz = np.zeros_like(depth), np.zeros_like(depth), np.ones_like(depth)
    # The floor fades with the distance from its middle, and darkens where a solid hides the sky from it.
    falloff = np.float32(FLOOR) / (np.float32(1) + np.float32(0.012) * (px * px + py * py))
    albedo = [falloff.copy() for _ in range(3)]
    open_sky = np.ones_like(depth)
    for solid in scene.solids:
        r2 = np.float32(solid.radius * solid.radius)
        d2 = (px - np.float32(solid.x)) ** 2 + (py - np.float32(solid.y)) ** 2 + r2
        open_sky -= np.float32(0.75) * r2 / d2 * np.sqrt(r2 / d2)
    np.maximum(open_sky, np.float32(0.1), out=open_sky)
    shine = np.zeros_like(depth)
    for number, solid in enumerate(scene.solids):
        at = seen == number
        nx[at], ny[at], nz[at] = _normals(solid, (px[at], py[at], pz[at]))
        for channel, level in zip(albedo, RGB[colour_of(solid.label)], strict=True):
            channel[at] = (level / 255) ** 2
        open_sky[at] = 1
        shine[at] = SHINE

    lx, ly, lz = _lights(scene.light)
    lit = _lit(scene, (px, py, pz), (nx, ny, nz), (lx, ly, lz))
    key = np.maximum(nx * lx + ny * ly + nz * lz, np.float32(0)) * lit
    fill = np.maximum(nx * np.float32(0.8) - ny * np.float32(0.5) + nz * np.float32(0.33), np.float32(0))
    half = np.float32(0.5) * nz
    sky = (np.float32(SKY) * (np.float32(0.5) + half) + np.float32(BOUNCE) * (np.float32(0.5) - half)) * open_sky
    light = np.float32(KEY) * key + np.float32(FILL) * fill * open_sky + sky
    gleam = shine * lit * _gleam(rays, (nx, ny, nz), (lx, ly, lz))
    return [np.minimum(channel * light + gleam, np.float32(1)) for channel in albedo]


def _normals(solid: Solid, points: Rays) -> Rays:
    """Unit normals at points of the surface of a solid."""
    (x, y, z), _ = to_local(solid, points, (0.0, 0.0, 0.0))
    zero = np.zeros_like(x)
    if solid.shape == "sphere":
        length = np.sqrt(x * x + y * y + z * z)
        local = x / length, y / length, z / length
    elif solid.shape == "cylinder":
        radius = np.sqrt(x * x + y * y)
        cap = np.abs(z) > radius
        local = np.where(cap, zero, x / radius), np.where(cap, zero, y / radius), np.where(cap, np.sign(z), zero)
    else:
        ax, ay, az = np.abs(x), np.abs(y), np.abs(z)
        top, side = (az >= ax) & (az >= ay), ax >= ay
        local = (
            np.where(~top & side, np.sign(x), zero),
            np.where(~top & ~side, np.sign(y), zero),
            np.where(top, np.sign(z), zero),
        )
    c, s = np.float32(solid.turn[0]), np.float32(solid.turn[1])
    return c * local[0] - s * local[1], s * local[0] + c * local[1], local[2]


def _lights(light: Vector) -> Rays:
    """Directions to four points of the key light, one for each sample of a pixel, which make soft shadow edges."""
    lights = [
        unit((light[0] + dx, light[1] + dy, light[2]))
        for dx, dy in ((-0.06, 0.02), (0.02, 0.06), (0.06, -0.02), (-0.02, -0.06))
    ]
    x, y, z = np.array(lights, dtype=np.float32).T.reshape(3, -1, 1, 1)
    return x, y, z


def _lit(scene: Scene, points: Rays, normals: Rays, lights: Rays) -> Array:
    """1 where the key light reaches a point, 0 in shadow."""
    x, y, z = (p + np.float32(EPSILON) * n for p, n in zip(points, normals, strict=True))
    dark = np.zeros(x.shape, dtype=bool)
    for solid in scene.solids:
        near, far = interval(solid.shape, *to_local(solid, (x, y, z), lights))
        dark |= (near < far) & (far > np.float32(EPSILON))
    return np.where(dark, np.float32(0), np.float32(1))


def _gleam(rays: Rays, normals: Rays, lights: Rays) -> Array:
    """The highlight, by Blinn's half vector to the power of 32."""
    dx, dy, dz = rays
    inverse = np.float32(1) / np.sqrt(dx * dx + dy * dy + dz * dz)
    hx, hy, hz = (light - d * inverse for light, d in zip(lights, rays, strict=True))
    cosine = normals[0] * hx + normals[1] * hy + normals[2] * hz
    cosine = np.maximum(cosine / np.sqrt(hx * hx + hy * hy + hz * hz), np.float32(0))
    for _ in range(5):
        cosine = cosine * cosine
    return cosine
