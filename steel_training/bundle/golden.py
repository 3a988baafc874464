"""Golden samples: image files with the scores of the trained model, to verify an exported model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from steel_training.bundle.layout import GOLDEN, GOLDEN_SAMPLES


def choose_golden(labels: np.ndarray, scores: np.ndarray, threshold: float, number: int = GOLDEN_SAMPLES) -> np.ndarray:
    """Chooses patches of both classes, from the nearest to the threshold to the farthest from it.

    Args:
        labels: int (n,), 0 or 1.
        scores: float (n,).
        threshold: operating threshold on the score.
        number: how many at most; half of each class if there are enough.

    Returns:
        Indices, ascending.
    """
    distance = np.abs(scores - threshold)
    of_class = [np.flatnonzero(labels == label) for label in (0, 1)]
    wanted = [min(len(of_class[1]), max(number // 2, number - len(of_class[0])))]
    wanted.insert(0, min(len(of_class[0]), number - wanted[0]))
    chosen = []
    for members, count in zip(of_class, wanted, strict=True):
        nearest_first = members[np.argsort(distance[members], kind="stable")]
        chosen.append(nearest_first[np.linspace(0, max(0, len(members) - 1), count).astype(int)])
    return np.sort(np.concatenate(chosen))


def write_golden(folder: Path, samples: list[tuple[str, bytes]], scores: np.ndarray) -> None:
    """Write image files and their expected scores, float (n,), to `golden/`."""
    target = folder / GOLDEN
    target.mkdir()
    for name, data in samples:
        (target / name).write_bytes(data)
    expected = {name: float(score) for (name, _), score in zip(samples, scores, strict=True)}
    (target / "scores.json").write_text(json.dumps(expected, indent=2), encoding="utf-8")
