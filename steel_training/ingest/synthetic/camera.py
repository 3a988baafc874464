"""How a photograph of the strip is formed: lighting, lens and sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter


@dataclass(frozen=True)
class Camera:
    """A camera with its lighting, fixed above a line.

    Attributes:
        along_axis: image axis along which the strip runs: 0 from top to bottom, 1 from left to right.
        light: where the light is strongest, as shares of (height, width); may lie outside.
        falloff: log brightness lost from there over one image diagonal.
        vignetting: log brightness lost from the centre to a corner.
        blur: standard deviation of the lens' point spread, pixels.
        noise: standard deviation of the sensor's noise in the dark, grey values.
        full_well: grey value at which shot noise has a standard deviation of 1 grey value.
    """

    along_axis: int
    light: tuple[float, float]
    falloff: float
    vignetting: float
    blur: float
    noise: float
    full_well: float

    def strip_shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return (along, across) for a photograph of (height, width)."""
        return shape if self.along_axis == 0 else (shape[1], shape[0])

    def to_image(self, strip: np.ndarray) -> np.ndarray:
        """Return an array in the strip's axes in the image's axes."""
        return strip if self.along_axis == 0 else np.ascontiguousarray(strip.T)

    def expose(
        self, rng: np.random.Generator, log_reflectance: np.ndarray, *, grey: float, flicker: float
    ) -> np.ndarray:
        """Photograph a surface.

        Args:
            rng: of the sensor's noise and of the slow drift of the lighting.
            log_reflectance: float, (height, width), around zero.
            grey: grey value of zero log reflectance in the middle of the light.
            flicker: standard deviation of that drift, in log brightness.

        Returns:
            uint8, (height, width).
        """
        light = self._light(log_reflectance.shape, rng.normal(0.0, flicker, size=2)) + rng.normal(0.0, flicker)
        grey_values = grey * np.exp(gaussian_filter(log_reflectance, self.blur) + light)
        spread = np.sqrt(self.noise**2 + np.clip(grey_values, 0.0, 255.0) / self.full_well)
        grey_values = grey_values + spread * rng.standard_normal(grey_values.shape, dtype=np.float32)
        return np.asarray(np.clip(np.rint(grey_values), 0, 255), dtype=np.uint8)

    def _light(self, shape: tuple[int, ...], shift: np.ndarray) -> np.ndarray:
        height, width = shape
        y = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None]
        x = np.linspace(0.0, 1.0, width, dtype=np.float32)[None, :]
        diagonal = float(np.hypot(height, width))
        from_light = np.hypot(
            (y - self.light[0] - shift[0]) * height / diagonal, (x - self.light[1] - shift[1]) * width / diagonal
        )
        from_centre = ((y - 0.5) ** 2 + (x - 0.5) ** 2) / 0.5
        return np.asarray(-self.falloff * from_light**2 - self.vignetting * from_centre)
