"""Patches that agree though they show other steel: a match of one of them must agree better than these do.

A machine that stands still before the camera agrees in every image, and by chance two images of it agree well enough to be
called the same steel. Then others agree nearly as well. Of a copy, nothing else does: even under one relief, other steel
has other grain (the ratio test of Lowe 2004, for patches instead of keypoints).
"""

from __future__ import annotations

import math
from collections import defaultdict

# Fisher's z. Pairs of one machine were at most 0.14 above the closest other; copies were further above it as a rule (docs/leakage.md).
_NEARLY = 0.15


class Lookalikes:
    """Pairs of patches that agree and are other steel."""

    def __init__(self) -> None:
        self._closest: defaultdict[int, float] = defaultdict(lambda: -math.inf)

    def add(self, first: int, second: int, grain: float) -> None:
        """Remember two patches, by their rows, and the agreement of their grain, a correlation."""
        for row in (first, second):
            self._closest[row] = max(self._closest[row], math.atanh(grain))

    def are_less_alike(self, first: int, second: int, grain: float) -> bool:
        """Return whether neither patch agrees nearly as well with other steel as the two with each other.

        Args:
            first: row of one.
            second: row of the other.
            grain: the agreement of their grain, a correlation.
        """
        closest = max(self._closest[first], self._closest[second])
        return closest + _NEARLY < math.atanh(grain)
