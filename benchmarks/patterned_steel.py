"""Honest steel with something that repeats: what a mill rolls, prints or photographs into every image. For `leak_patterns.py`.

Each family draws one pattern per dataset (its period, angle, strength and size) and puts it onto every source image at another
place, as different plates of one relief lie under the camera, or at the same place, as a ruler or a dirty lens does. The
steel below, its noise and its exposure are different in every source image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter, shift

Random = np.random.Generator
Pattern = Callable[[np.ndarray, Random], np.ndarray]
"""Puts the pattern of a dataset onto one source image: grey values, float (height, width), and the random numbers of that image."""


@dataclass(frozen=True)
class Lattice:
    """Two directions, and the place of every pixel along them in periods."""

    u: np.ndarray
    v: np.ndarray

    @classmethod
    def of(cls, shape: tuple[int, int], period: tuple[float, float], angle: float, at: np.ndarray) -> Lattice:
        """Return it for an image (height, width): periods in pixels, angle in radians, offset (2,) in periods."""
        y, x = np.mgrid[: shape[0], : shape[1]]
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        return cls(along / period[0] + at[0], across / period[1] + at[1])


def _embossed(height: np.ndarray, light: float, strength: float) -> np.ndarray:
    """Return the gain of a relief lit from one side, (height, width): slopes towards the light are bright, others dark."""
    slope_y, slope_x = np.gradient(gaussian_filter(height, 1.0))
    slope = slope_x * np.cos(light) + slope_y * np.sin(light)
    return np.asarray(1 + strength * slope / max(float(np.abs(slope).max()), 1e-9))


def diamonds(random: Random) -> Pattern:
    """Ribs in two directions, as on chequered plate."""
    width, ratio = random.uniform(36, 110), random.uniform(0.5, 2.0)
    angle, rib, light = random.uniform(-0.2, 0.2), random.uniform(2.0, 5.0), random.uniform(0, 2 * np.pi)
    strength = random.uniform(0.3, 0.7)

    def put(grey: np.ndarray, own: Random) -> np.ndarray:
        at = Lattice.of(grey.shape, (width, width * ratio), angle + own.normal(0, 0.004), own.random(2))
        ribs = [np.abs((each + 0.5) % 1 - 0.5) * width for each in (at.u + at.v, at.u - at.v)]
        return grey * _embossed(np.exp(-((np.minimum(*ribs) / rib) ** 2)), light, strength)

    return put


def lentils(random: Random) -> Pattern:
    """Raised ovals that lean left and right in turn, as on tread plate."""
    period, angle, light = random.uniform(40, 130), random.uniform(-0.2, 0.2), random.uniform(0, 2 * np.pi)
    length, width, strength = random.uniform(0.3, 0.42), random.uniform(0.08, 0.16), random.uniform(0.3, 0.7)

    def put(grey: np.ndarray, own: Random) -> np.ndarray:
        at = Lattice.of(grey.shape, (period, period), angle + own.normal(0, 0.004), own.random(2))
        lean = np.where((np.floor(at.u) + np.floor(at.v)) % 2, 1.0, -1.0) * np.pi / 4
        u, v = at.u % 1 - 0.5, at.v % 1 - 0.5
        along, across = u * np.cos(lean) + v * np.sin(lean), v * np.cos(lean) - u * np.sin(lean)
        ovals = np.clip(1.3 - (along / length) ** 2 - (across / width) ** 2, 0, 1)
        return grey * _embossed(ovals, light, strength)

    return put


def knurling(random: Random) -> Pattern:
    """A fine relief without flats between: woven texture, knurled rolls, moiré."""
    period, ratio, angle = random.uniform(5, 16), random.uniform(0.6, 1.6), random.uniform(0, np.pi)
    power, strength = random.choice((1, 3, 6)), random.uniform(0.15, 0.5)

    def put(grey: np.ndarray, own: Random) -> np.ndarray:
        at = Lattice.of(grey.shape, (period, period * ratio), angle + own.normal(0, 0.002), own.random(2))
        waves = (np.cos(np.pi * at.u) ** 2 * np.cos(np.pi * at.v) ** 2) ** power
        return grey * (1 - strength / 2 + strength * waves)

    return put


def roll_marks(random: Random) -> Pattern:
    """An irregular mark of a damaged roll, pressed in again at every turn, on every coil."""
    size, turn, strength = int(random.integers(14, 44)), random.integers(60, 200), random.uniform(0.3, 0.7)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    blotch = gaussian_filter(random.standard_normal((size, size)), 1.5)
    mark = strength * blotch / np.abs(blotch).max() * np.clip(2 - 2 * np.hypot(y, x), 0, 1)
    place, lengthwise = random.random(), random.random() < 0.5

    def put(grey: np.ndarray, own: Random) -> np.ndarray:
        gain = np.ones(grey.shape if lengthwise else grey.shape[::-1])
        top = int(np.clip(place * gain.shape[0] + own.normal(0, 6), 0, gain.shape[0] - size))
        for left in range(int(own.integers(turn)), gain.shape[1] - size, int(turn)):
            gain[top : top + size, left : left + size] += mark
        return grey * (gain if lengthwise else gain.T)

    return put


def _written(text: str, height: int) -> np.ndarray:
    """Return a line of text, float (about height, width), 1 where there is ink."""
    font = ImageFont.load_default(size=height)
    left, top, right, bottom = (int(side) for side in font.getbbox(text))
    line = Image.new("L", (right - left + 2, bottom - top + 2))
    ImageDraw.Draw(line).text((1 - left, 1 - top), text, fill=255, font=font)
    return np.asarray(line) / 255.0


def _laid(ink: np.ndarray, shape: tuple[int, int], y: float, x: float) -> np.ndarray:
    """Return ink laid onto an empty image at a place that need not be whole pixels."""
    sheet = np.zeros(shape)
    at = int(np.clip(y, 0, max(shape[0] - ink.shape[0], 0))), int(x)
    here = ink[: shape[0] - at[0], : max(shape[1] - at[1], 0)]
    sheet[at[0] : at[0] + here.shape[0], at[1] : at[1] + here.shape[1]] = here
    return np.asarray(shift(sheet, (y % 1, x % 1), order=1))


def dot_matrix(random: Random) -> Pattern:
    """The mill's name and a number in dots of paint, printed along every plate."""
    brand = "".join(random.choice(list("ABCDEFGHKLMNPRSTUVXZ"), 6))
    dot, strength = random.integers(2, 5), random.choice((-0.6, -0.4, 0.5))
    y, x = np.mgrid[-1 : 1 : dot * 1j, -1 : 1 : dot * 1j]
    ball = np.clip(1.5 - np.hypot(y, x), 0, 1)

    def put(grey: np.ndarray, own: Random) -> np.ndarray:
        text = f"{brand} S355 {own.integers(1000, 9999)} {brand}"
        ink = np.kron(_written(text, 9) > 0.5, ball)
        rows = range(int(own.integers(20, 60)), grey.shape[0] - ink.shape[0], ink.shape[0] + 70)
        for top in rows:
            printed = _laid(ink, grey.shape, top + own.random(), own.uniform(0, 40))
            grey = grey * (1 + strength * gaussian_filter(printed, 0.6))
        return grey

    return put


def stamped_text(random: Random) -> Pattern:
    """The same words in solid letters, painted or etched."""
    words = "".join(random.choice(list("ABCDEFGHKLMNPRSTUVXZ"), 8))
    height, strength = int(random.integers(14, 40)), random.choice((-0.6, -0.3, 0.4))

    def put(grey: np.ndarray, own: Random) -> np.ndarray:
        ink = _written(words, height)
        for top in range(int(own.integers(10, 40)), grey.shape[0] - height, height + 60):
            for left in range(int(own.integers(30)), grey.shape[1], ink.shape[1] + 30):
                painted = gaussian_filter(_laid(ink, grey.shape, top + own.random(), left + own.random()), 0.7)
                grey = grey * (1 + strength * painted)
        return grey

    return put


def ruler(random: Random) -> Pattern:
    """A scale at the edge, at the same place in every image: laid into the picture by software, or photographed."""
    deep, step, lettered = int(random.integers(24, 48)), int(random.integers(5, 12)), random.random() < 0.5
    overlaid, dark = random.random() < 0.5, random.random() < 0.5

    def put(grey: np.ndarray, own: Random) -> np.ndarray:
        scale = np.zeros((deep, grey.shape[1]))
        for number, left in enumerate(range(3, grey.shape[1] - 2, step)):
            scale[: deep // (2 if number % 10 == 0 else 3 if number % 5 == 0 else 4), left : left + 1 + step // 8] = 1
            if lettered and number % 10 == 0:
                scale = np.maximum(scale, _laid(_written(str(number), 12), scale.shape, deep // 2, left + 3))
        plate = (30 + 200 * scale) if dark else (225 - 200 * scale)
        changed = grey.copy()
        if overlaid:
            changed[:deep] = plate
        else:
            ground = gaussian_filter(own.standard_normal(scale.shape), 1.0) * 4
            changed[:deep] = (gaussian_filter(plate, 0.6) + ground) * own.uniform(0.9, 1.05)
        return changed

    return put


def black_border(random: Random) -> Pattern:
    """The strip ends within the image: a bright edge, and nothing beside it."""
    lean, bright = random.normal(0, 0.03), random.uniform(1.2, 2.0)
    both, noisy = random.random() < 0.4, random.random() < 0.5

    def put(grey: np.ndarray, own: Random) -> np.ndarray:
        y, x = np.mgrid[: grey.shape[0], : grey.shape[1]]
        ragged = gaussian_filter(own.standard_normal(grey.shape[0]), 6)[:, None] * 3
        gain, dark = np.ones(grey.shape), np.zeros(grey.shape, bool)
        for side in (0, 1) if both else (int(own.integers(2)),):
            inside = (x if side == 0 else grey.shape[1] - x) - own.uniform(10, 90) - lean * y - ragged
            gain += (bright - 1) * np.exp(-((inside / 4) ** 2))
            dark |= inside < 0
        night = np.abs(own.normal(2, 0.7, grey.shape)) if noisy else np.zeros(grey.shape)
        return np.where(dark, night, grey * gain)

    return put


def conveyor(random: Random) -> Pattern:
    """Rollers and a chain beside the strip, at the same place in every image."""
    deep, pitch, link = int(random.integers(40, 90)), random.uniform(30, 90), random.uniform(9, 18)
    moving = random.random() < 0.5

    def put(grey: np.ndarray, own: Random) -> np.ndarray:
        y, x = np.mgrid[:deep, : grey.shape[1]]
        run = own.uniform(0, 1) if moving else 0.0
        rollers = 60 + 50 * np.cos(2 * np.pi * (x / pitch + run)) ** 3
        chain = 90 * (np.hypot((x / link + run) % 1 - 0.5, (y - deep / 2) / link) < 0.35)
        changed = grey.copy()
        machine = np.where(np.abs(y - deep / 2) < link, 30 + chain, rollers)
        changed[:deep] = (gaussian_filter(machine, 0.8) + own.normal(0, 2, machine.shape)) * own.uniform(0.85, 1.1)
        return changed

    return put


def dirty_lens(random: Random) -> Pattern:
    """Dust and scratches on the lens, at the same place in every image."""
    seed, many, strength = int(random.integers(2**31)), int(random.integers(40, 160)), random.uniform(0.15, 0.5)

    def put(grey: np.ndarray, _: Random) -> np.ndarray:
        lens = np.random.default_rng(seed)
        dust = np.zeros(grey.shape)
        dust[lens.integers(0, grey.shape[0], many), lens.integers(0, grey.shape[1], many)] = lens.uniform(0.3, 1, many)
        grains = [gaussian_filter(dust, wide) * 2 * np.pi * wide**2 for wide in (1.2, 2.5)]
        scratch = np.zeros(grey.shape)
        for _ in range(6):
            at, lean, long = lens.random(2) * grey.shape, lens.uniform(0, np.pi), lens.uniform(20, 120)
            steps = np.arange(long)
            y, x = (
                np.rint(at[axis] + steps * way).astype(int) for axis, way in enumerate((np.sin(lean), np.cos(lean)))
            )
            inside = (y >= 0) & (y < grey.shape[0]) & (x >= 0) & (x < grey.shape[1])
            scratch[y[inside], x[inside]] = 1
        return grey * np.clip(1 - strength * np.maximum(grains[0], grains[1]) + gaussian_filter(scratch, 0.8), 0.2, 2)

    return put


def hammered(random: Random) -> Pattern:
    """A texture without a period, embossed by a roll of some size: it repeats at every turn, across the whole width."""
    turn, grain, light = int(random.integers(90, 220)), random.uniform(2.0, 6.0), random.uniform(0, 2 * np.pi)
    strength, seed = random.uniform(0.2, 0.5), int(random.integers(2**31))

    def put(grey: np.ndarray, own: Random) -> np.ndarray:
        roll = gaussian_filter(np.random.default_rng(seed).standard_normal((600, turn)), grain, mode="wrap")
        gain = _embossed(np.tile(roll, (1, 12)), light, strength)
        top, left = own.integers(0, 600 - grey.shape[0]), own.integers(turn)
        return grey * gain[top : top + grey.shape[0], left : left + grey.shape[1]]

    return put


FAMILIES: dict[str, Callable[[Random], Pattern]] = {
    "ribs of chequered plate": diamonds,
    "ovals of tread plate": lentils,
    "knurling": knurling,
    "roll marks": roll_marks,
    "dot-matrix print": dot_matrix,
    "stamped text": stamped_text,
    "ruler": ruler,
    "black border": black_border,
    "conveyor": conveyor,
    "dirty lens": dirty_lens,
    "embossed all over": hammered,
}


def patterned(put: Pattern, pixels: np.ndarray, own: Random) -> np.ndarray:
    """Put a pattern onto one source image, which gets noise and an exposure of its own.

    Args:
        put: the pattern of the dataset.
        pixels: uint8, (height, width).
        own: random numbers of this image.
    """
    grey = (pixels + own.normal(0, own.uniform(0.3, 1.5), pixels.shape)) * own.uniform(0.8, 1.15)
    return np.clip(np.rint(put(grey, own)), 0, 255).astype(np.uint8)
