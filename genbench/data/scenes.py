"""Scenes like CLEVR's, in NumPy: where cubes, spheres and cylinders stand, and where rays meet them.

After J. Johnson et al., CLEVR, CVPR 2017, arXiv 1612.06890. Every solid is convex, so the part of a ray inside it is an
interval, found in closed form; the same function finds what the camera sees and what lies in shadow.

Everything is computed only with +, -, *, / and square roots, which IEEE 754 rounds in one way, so a scene is the same
on every machine. For the same reason a turn is drawn as (cos, sin) of a rational parameter.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from genbench.data.objects import OBJECTS, SHAPES, shape_of
from genbench.errors import InputError

Array = NDArray[np.float32]
Vector = tuple[float, float, float]

RADII = {"cube": 0.64, "sphere": 0.76, "cylinder": 0.68}  # half of an edge for the cube; half of the height for all
FOOTPRINTS = {"cube": 0.64 * sqrt(2), "sphere": 0.76, "cylinder": 0.68}
LARGEST_SCENE = 5  # objects
GAP = 1.12  # least distance between centres, in sums of footprints
VISIBLE = 0.85  # the least share of a solid's pixels that must be visible
LOOK_SIZE = 32  # the side of the picture in which visible pixels are counted
ATTEMPTS = 2000
FOCAL_LENGTH = 3.55  # half the image's width at distance 1 is 1
MARGIN = 0.96  # the share of that half within which a solid's bounding sphere must lie


@dataclass(frozen=True)
class Solid:
    """One object: its index in OBJECTS, where it stands, its radius, and the cosine and sine of its turn."""

    label: int
    x: float
    y: float
    radius: float
    turn: tuple[float, float]

    @property
    def shape(self) -> str:
        return SHAPES[shape_of(self.label)]

    @property
    def centre(self) -> Vector:
        return self.x, self.y, self.radius

    @property
    def footprint(self) -> float:
        return FOOTPRINTS[self.shape] * self.radius / RADII[self.shape]


@dataclass(frozen=True)
class Scene:
    """Solids, the camera's place and what it looks at, and the direction towards the key light."""

    solids: tuple[Solid, ...]
    camera: Vector
    target: Vector
    light: Vector

    def showing(self, labels: Sequence[int]) -> "Scene":
        """The same scene with only these of its objects."""
        return replace(self, solids=tuple(solid for solid in self.solids if solid.label in labels))


def draw_scene(labels: Sequence[int], seed: int, index: int) -> Scene:
    """The scene number `index` of `seed` with the objects `labels`: camera, light, places and turns are drawn.

    No two solids touch, all are inside the picture, and at least VISIBLE of each is seen. The scene depends only on the
    arguments. Raises InputError for more than LARGEST_SCENE objects.
    """
    if not 1 <= len(labels) <= LARGEST_SCENE:
        raise InputError(f"scene: found {len(labels)} objects, expected 1 to {LARGEST_SCENE}")
    random = np.random.Generator(np.random.Philox(key=[seed, index]))

    def around(centre: float, jitter: float) -> float:
        return centre + jitter * (2 * random.random() - 1)

    for _ in range(ATTEMPTS):
        camera = around(0, 1.2), around(-8.2, 0.35), around(7.0, 0.35)
        target = around(0, 0.12), around(0.1, 0.12), 0.35
        light = unit((around(-0.75, 0.25), around(-0.55, 0.2), 1.15))
        solids: list[Solid] = []
        for label in labels:
            half = 2 * random.random() - 1  # the tangent of half the turn: from -90 to 90 degrees
            solid = Solid(
                label,
                around(0, 2.3),
                around(0.1, 2.5),
                RADII[SHAPES[shape_of(label)]] * around(1, 0.06),
                ((1 - half * half) / (1 + half * half), 2 * half / (1 + half * half)),
            )
            if any(_touch(solid, other) for other in solids):
                break
            solids.append(solid)
        scene = Scene(tuple(solids), camera, target, light)
        if len(solids) == len(labels) and _all_framed(scene) and min(visible_shares(scene)) >= VISIBLE:
            return scene
    names = ", ".join(OBJECTS[label] for label in labels)
    raise InputError(f"scene {index} of seed {seed}: found no place for {names} in {ATTEMPTS} attempts")


def visible_shares(scene: Scene) -> list[float]:
    """For each solid, the share of its pixels that no other solid hides, in a picture of LOOK_SIZE x LOOK_SIZE."""
    rays = camera_rays(scene, LOOK_SIZE, ((0.5, 0.5),))
    with np.errstate(invalid="ignore", divide="ignore"):
        nears = [hit(*interval(solid.shape, *to_local(solid, scene.camera, rays))) for solid in scene.solids]
    nearest = np.minimum.reduce(nears)
    shares = []
    for near in nears:
        alone = np.isfinite(near)
        shares.append(int((alone & (near == nearest)).sum()) / max(int(alone.sum()), 1))
    return shares


def unit(v: Vector) -> Vector:
    length = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
    return v[0] / length, v[1] / length, v[2] / length


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _touch(a: Solid, b: Solid) -> bool:
    apart = GAP * (a.footprint + b.footprint)
    return (a.x - b.x) ** 2 + (a.y - b.y) ** 2 < apart * apart


def _frame(scene: Scene) -> tuple[Vector, Vector, Vector]:
    """The camera's unit vectors: right, up, forward."""
    (cx, cy, cz), (tx, ty, tz) = scene.camera, scene.target
    forward = unit((tx - cx, ty - cy, tz - cz))
    right = unit((forward[1], -forward[0], 0.0))
    return right, _cross(right, forward), forward


def _all_framed(scene: Scene) -> bool:
    right, up, forward = _frame(scene)
    cx, cy, cz = scene.camera
    for solid in scene.solids:
        centre = solid.x - cx, solid.y - cy, solid.radius - cz
        across, above, depth = (sum(p * q for p, q in zip(centre, axis, strict=True)) for axis in (right, up, forward))
        reach = MARGIN * depth / FOCAL_LENGTH - solid.footprint
        if abs(across) > reach or abs(above) > reach:
            return False
    return True


Rays = tuple[Array, Array, Array]  # the components of origins or directions, which broadcast


def camera_rays(scene: Scene, size: int, samples: Sequence[tuple[float, float]]) -> Rays:
    """Directions from the camera through every pixel's samples, (samples, size, size), not normalised."""
    places = np.arange(size, dtype=np.float32)
    offsets = np.array(samples, dtype=np.float32)
    u = (places[None, None, :] + offsets[:, 0, None, None]) * np.float32(2 / size) - np.float32(1)
    v = np.float32(1) - (places[None, :, None] + offsets[:, 1, None, None]) * np.float32(2 / size)
    right, up, forward = _frame(scene)
    x, y, z = (
        u * np.float32(right[i]) + v * np.float32(up[i]) + np.float32(FOCAL_LENGTH * forward[i]) for i in range(3)
    )
    return x, y, z


def to_local(solid: Solid, origin: Vector | Rays, direction: Vector | Rays) -> tuple[Rays, Rays]:
    """A ray in the solid's own coordinates, in which it is the unit cube, sphere or cylinder around 0."""
    c, s, scale = np.float32(solid.turn[0]), np.float32(solid.turn[1]), np.float32(1 / solid.radius)
    x, y, z = (
        np.atleast_1d(np.asarray(o, np.float32)) - np.float32(p) for o, p in zip(origin, solid.centre, strict=True)
    )
    dx, dy, dz = (np.atleast_1d(np.asarray(d, np.float32)) for d in direction)
    return (
        ((c * x + s * y) * scale, (c * y - s * x) * scale, z * scale),
        ((c * dx + s * dy) * scale, (c * dy - s * dx) * scale, dz * scale),
    )


def interval(shape: str, origin: Rays, direction: Rays) -> tuple[Array, Array]:
    """Where rays enter and leave a unit solid, in lengths of `direction`; nothing is inside where near >= far."""
    (x, y, z), (dx, dy, dz) = origin, direction
    if shape == "cube":
        (x0, x1), (y0, y1), (z0, z1) = _slab(x, dx), _slab(y, dy), _slab(z, dz)
        return np.maximum(np.maximum(x0, y0), z0), np.minimum(np.minimum(x1, y1), z1)
    if shape == "sphere":
        return _quadric(dx * dx + dy * dy + dz * dz, x * dx + y * dy + z * dz, x * x + y * y + z * z)
    (a0, a1), (z0, z1) = _quadric(dx * dx + dy * dy, x * dx + y * dy, x * x + y * y), _slab(z, dz)
    return np.maximum(a0, z0), np.minimum(a1, z1)


def _slab(x: Array, dx: Array) -> tuple[Array, Array]:
    """Where rays are between the planes -1 and 1."""
    inverse = np.float32(1) / dx
    a, b = (np.float32(-1) - x) * inverse, (np.float32(1) - x) * inverse
    return np.minimum(a, b), np.maximum(a, b)


def _quadric(a: Array, b: Array, c: Array) -> tuple[Array, Array]:
    """Where a t^2 + 2 b t + c < 1; not-a-number, which is never less or more, where it nowhere is."""
    inverse = np.float32(1) / a
    root = np.sqrt(b * b - a * (c - np.float32(1)))
    return (-b - root) * inverse, (root - b) * inverse


def hit(near: Array, far: Array) -> Array:
    """The distance of what a camera ray hits, infinite where it misses."""
    return np.where(near < far, near, np.float32(np.inf))
