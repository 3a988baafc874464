"""Clean steel that looks a little like a defect: roll chatter, bands, streaks, water stains, smears, dust.

An inspector accepts all of these. They keep a model honest: brightness, contrast or 'there is a line' do not identify a
defect. They stay fainter, softer or longer than defects: a streak runs through the whole photograph, a scratch ends.
"""

from __future__ import annotations

import numpy as np

from steel_training.ingest.synthetic.surfaces import smooth_line, smooth_noise, soft_step


def chatter(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Faint bars across the strip in regular steps, from a vibrating mill stand."""
    period = rng.uniform(9.0, 44.0)
    phase = 2 * np.pi * np.arange(shape[0], dtype=np.float32)[:, None] / period + rng.uniform(0, 2 * np.pi)
    phase = phase + 0.5 * smooth_line(rng, shape[1], 60.0)[None, :]
    presence = np.clip(0.6 + 0.5 * smooth_noise(rng, shape, 80.0, 50.0), 0.0, 1.2)
    return np.asarray(rng.uniform(0.012, 0.045) * np.sin(phase) * presence)


def bands(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Soft-edged bands along the strip: a worn stretch of the roll."""
    profile = np.zeros(shape[1], dtype=np.float32)
    for _ in range(rng.integers(1, 4)):
        centre, width = rng.uniform(0, shape[1]), rng.uniform(8.0, 34.0)
        offset = np.abs(np.arange(shape[1]) - centre)
        profile += rng.choice((-1.0, 1.0)) * rng.uniform(0.04, 0.13) * soft_step((width - offset) / 3.0)
    return profile[None, :] * (1 + 0.15 * smooth_noise(rng, (shape[0], 1), 50.0, 0.0))


def streaks(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Soft lines along the strip from edge to edge of the photograph, bright or dark."""
    total = np.zeros(shape, dtype=np.float32)
    for _ in range(rng.integers(1, 5)):
        centre = rng.uniform(0, shape[1]) + 0.8 * smooth_line(rng, shape[0], 120.0)
        sigma = rng.uniform(1.0, 3.4)
        offset = np.arange(shape[1], dtype=np.float32)[None, :] - centre[:, None]
        contrast = rng.choice((-1.0, 1.0)) * rng.uniform(0.03, 0.14)
        strength = 1 + 0.3 * smooth_line(rng, shape[0], 60.0)
        total += contrast * strength[:, None] * np.exp(-0.5 * (offset / sigma) ** 2)
    return total


def water_stain(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """A dried drop: a faint, soft blob with a slightly darker rim."""
    y, x = _around(rng, shape)
    size = rng.uniform(18.0, 60.0)
    stretch = rng.uniform(0.7, 1.7)
    radius = np.hypot(y / (size * stretch), x / size) + 0.10 * smooth_noise(rng, shape, 14.0, 14.0)
    inside = soft_step((1.0 - radius) / 0.10)
    rim = np.exp(-0.5 * ((radius - 1.0) / 0.09) ** 2)
    contrast = rng.uniform(0.04, 0.13)
    return np.asarray(contrast * (rng.choice((-1.0, 1.0)) * 0.5 * inside - 0.7 * rim))


def smear(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """A cloud of emulsion dragged along the strip, without a clear edge."""
    y, x = _around(rng, shape)
    length, width = rng.uniform(40.0, 160.0), rng.uniform(9.0, 26.0)
    cloud = np.exp(-0.5 * ((y / length) ** 2 + (x / width) ** 2))
    ragged = 1 + 0.35 * smooth_noise(rng, shape, 26.0, 8.0)
    return np.asarray(rng.choice((-1.0, 1.0), p=(0.75, 0.25)) * rng.uniform(0.06, 0.22) * cloud * ragged)


def dust(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Specks on the lens, out of focus: soft discs, faintly darker."""
    total = np.zeros(shape, dtype=np.float32)
    for _ in range(rng.integers(1, 6)):
        y, x = _around(rng, shape)
        radius = rng.uniform(3.0, 8.0)
        total -= rng.uniform(0.03, 0.10) * soft_step((radius - np.hypot(y, x)) / 1.3)
    return total


MARKS = (chatter, bands, streaks, water_stain, smear, dust)


def _around(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances (along, across) from a random point, in pixels, as open grids."""
    y = np.arange(shape[0], dtype=np.float32)[:, None] - rng.uniform(0, shape[0])
    x = np.arange(shape[1], dtype=np.float32)[None, :] - rng.uniform(0, shape[1])
    return y, x
