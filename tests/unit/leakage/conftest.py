"""Pieces of procedural steel, as a profile with what the probes read beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from steel_training.data.matching.keypoints import keypoints_of
from steel_training.ingest.synthetic.sample import photograph_coil


@dataclass
class Steel:
    """A dataset in memory: images, and the columns of the profile that the probes of surfaces read."""

    images: list[np.ndarray]
    profile: pd.DataFrame
    anchors: list[bytes]

    def pixels(self, row: int) -> np.ndarray:
        return self.images[row]

    def with_patch(self, image: np.ndarray, part: str) -> Steel:
        """Add a patch with a source_id of its own."""
        number = len(self.images)
        row = {
            "patch_id": f"p{number}",
            "source_id": f"s{number}",
            "group": f"g{number}",
            "part": part,
            "label": 0,
            "pixel_hash": f"h{number}",
            "contrast": float(image.std()),
        }
        profile = pd.concat([self.profile, pd.DataFrame([row])], ignore_index=True)
        return Steel([*self.images, image], profile, [*self.anchors, keypoints_of(image).tobytes()])


def steel_of(images: Sequence[np.ndarray], groups: Sequence[str]) -> Steel:
    """Makes a dataset of images; groups take turns in train, val and test."""
    names = list(dict.fromkeys(groups))
    parts = [("train", "val", "test")[names.index(group) % 3] for group in groups]
    number = range(len(images))
    profile = pd.DataFrame(
        {
            "patch_id": [f"p{i}" for i in number],
            "source_id": pd.array([f"s{group}" for group in groups], dtype="string"),
            "group": list(groups),
            "part": parts,
            "label": [i % 2 for i in number],
            "pixel_hash": [f"h{i}" for i in number],
            "contrast": [float(image.std()) for image in images],
        }
    )
    return Steel(list(images), profile, [keypoints_of(image).tobytes() for image in images])


def sources(coils: int, seed: int) -> list[tuple[str, np.ndarray]]:
    """Draw one source image of each coil, uint8 (256, 448)."""
    return [
        (photograph.coil, photograph.pixels)
        for number in range(coils)
        for photograph in photograph_coil(number, photographs=1, shape=(256, 448), seed=seed)
    ]


@pytest.fixture(scope="session")
def strips() -> list[np.ndarray]:
    return [pixels for _, pixels in sources(9, seed=3)]


@pytest.fixture(scope="session")
def steel(strips: list[np.ndarray]) -> Steel:
    images, groups = [], []
    for number, strip in enumerate(strips):
        for y in range(0, 192, 64):
            for x in range(0, 320, 64):
                images.append(strip[y : y + 64, x : x + 64])
                groups.append(f"coil{number}")
    return steel_of(images, groups)


@pytest.fixture(scope="session")
def make_steel() -> Callable[..., Steel]:
    return steel_of
