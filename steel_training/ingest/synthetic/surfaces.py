"""Rolled surfaces without defects: finish, coil, and the grain that rolling leaves.

Everything is drawn in the strip's own axes, (along rolling, across), as the logarithm of reflectance: textures, marks
and defects then add up, and a contrast means the same on dark and on bright steel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Photographs of one coil share what runs along the strip; it wanders over this many photographs' lengths.
_PROFILE_WANDER = 0.35
_UNEVENNESS = 0.28


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], along: float, across: float) -> np.ndarray:
    """Return Gaussian noise of zero mean and unit variance, correlated over (along, across) pixels.

    Args:
        rng: source of randomness.
        shape: (along, across).
        along: standard deviation of the smoothing kernel along rolling, pixels; 0 leaves the noise white.
        across: the same across.

    Returns:
        float32, `shape`; periodic at the edges.
    """
    white = rng.standard_normal(shape, dtype=np.float32)
    response = np.outer(_kernel_response(shape[0], along), _kernel_response(shape[1], across))
    smooth = np.fft.irfft2(np.fft.rfft2(white) * response[:, : shape[1] // 2 + 1], s=shape)
    smooth -= smooth.mean()
    return np.asarray(smooth / max(float(smooth.std()), 1e-9), dtype=np.float32)


def smooth_line(rng: np.random.Generator, length: int, correlation: float) -> np.ndarray:
    """Return `smooth_noise` in one dimension, float32, (length,)."""
    return np.asarray(smooth_noise(rng, (1, length), 0.0, correlation)[0])


def _kernel_response(length: int, sigma: float) -> np.ndarray:
    """Fourier transform of a Gaussian kernel, sampled at the frequencies of `np.fft.fftfreq`."""
    return np.asarray(np.exp(-2.0 * (np.pi * sigma * np.fft.fftfreq(length)) ** 2))


def soft_step(x: np.ndarray) -> np.ndarray:
    """Return 0 far below zero, 1 far above, 0.5 at zero: the logistic function, which cannot overflow in this form."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))


@dataclass(frozen=True)
class Texture:
    """One layer of grain: correlation lengths in pixels, and standard deviation of log reflectance."""

    along: float
    across: float
    strength: float


@dataclass(frozen=True)
class Finish:
    """A kind of surface.

    Attributes:
        name: the industry's term.
        grey: range of the mean grey value, 0..255, over coils.
        textures: layers of grain.
        profile: standard deviation of log reflectance across the strip, constant along it (streaks of rolls and lighting).
        profile_width: correlation length of that profile, pixels.
    """

    name: str
    grey: tuple[float, float]
    textures: tuple[Texture, ...]
    profile: float
    profile_width: float

    @property
    def grain(self) -> float:
        """Standard deviation of log reflectance from pixel to pixel: what a fine defect must stand out from."""
        fine = [texture.strength for texture in self.textures if min(texture.along, texture.across) < 2.0]
        return float(np.sqrt(np.square(fine).sum()))


MILL_SCALE = Finish(
    name="mill scale",
    grey=(62.0, 96.0),
    textures=(Texture(0.6, 0.5, 0.035), Texture(9.0, 1.6, 0.030), Texture(40.0, 26.0, 0.060)),
    profile=0.022,
    profile_width=3.0,
)
PICKLED = Finish(
    name="pickled",
    grey=(95.0, 150.0),
    textures=(Texture(0.8, 0.5, 0.045), Texture(5.0, 1.0, 0.035), Texture(60.0, 8.0, 0.030)),
    profile=0.030,
    profile_width=2.0,
)
BRIGHT = Finish(
    name="bright",
    grey=(120.0, 190.0),
    textures=(Texture(0.5, 0.4, 0.018), Texture(30.0, 0.8, 0.022), Texture(80.0, 30.0, 0.040)),
    profile=0.016,
    profile_width=1.2,
)
MATT = Finish(
    name="matt",
    grey=(110.0, 185.0),
    textures=(Texture(0.9, 0.9, 0.085), Texture(2.2, 1.6, 0.045), Texture(30.0, 22.0, 0.035)),
    profile=0.012,
    profile_width=6.0,
)


@dataclass(frozen=True)
class Coil:
    """What the photographs of one coil share.

    Attributes:
        finish: kind of surface.
        grey: mean grey value of its first photograph, 0..255.
        roughness: factor on all grain.
        drift: change of log brightness from the first photograph to the last (lighting warms up, oil builds up).
        profile_seed: of the profile across the strip.
        glints: pinpoints per 1000 pixels: grains that catch the light, or pores of a pixel. Every strip has some.
    """

    finish: Finish
    grey: float
    roughness: float
    drift: float
    profile_seed: int
    glints: float

    @property
    def grain(self) -> float:
        """Standard deviation of log reflectance from pixel to pixel."""
        return self.finish.grain * self.roughness


def new_coil(rng: np.random.Generator, finish: Finish) -> Coil:
    """Draw a coil of a finish."""
    return Coil(
        finish=finish,
        grey=float(rng.uniform(*finish.grey)),
        roughness=float(rng.uniform(0.7, 1.35)),
        drift=float(rng.uniform(-0.16, 0.16)),
        profile_seed=int(rng.integers(2**31)),
        glints=float(np.exp(rng.uniform(np.log(0.15), np.log(3.0)))),
    )


def bare_surface(rng: np.random.Generator, coil: Coil, shape: tuple[int, int]) -> np.ndarray:
    """Return the log reflectance of a stretch of the coil without defects, float32, `shape`, around zero."""
    finish = coil.finish
    surface = np.zeros(shape, dtype=np.float32)
    for texture in finish.textures:
        surface += coil.roughness * texture.strength * smooth_noise(rng, shape, texture.along, texture.across)
    # Real grain comes in stronger and weaker fields; were it of one strength everywhere, any outlier would be a defect.
    surface *= np.exp(_UNEVENNESS * smooth_noise(rng, shape, 24.0, 12.0))
    surface += _glints(rng, shape, coil)
    shared = smooth_line(np.random.default_rng(coil.profile_seed), shape[1], finish.profile_width)
    own = smooth_line(rng, shape[1], finish.profile_width)
    profile = np.sqrt(1 - _PROFILE_WANDER**2) * shared + _PROFILE_WANDER * own
    surface += coil.roughness * finish.profile * profile
    return surface


def _glints(rng: np.random.Generator, shape: tuple[int, int], coil: Coil) -> np.ndarray:
    """Return pinpoints one pixel across and up to three along, bright or dark, each coil with its own share."""
    points = np.zeros(shape, dtype=np.float32)
    number = rng.poisson(coil.glints * shape[0] * shape[1] / 1000)
    along, across = rng.integers(0, shape[0], number), rng.integers(0, shape[1], number)
    strength = rng.choice((-1.0, 1.0), number) * rng.uniform(0.15, 0.75, number)
    for step in range(3):
        reaches = rng.random(number) < (1.0, 0.5, 0.2)[step]
        points[(along[reaches] + step) % shape[0], across[reaches]] += strength[reaches]
    return points
