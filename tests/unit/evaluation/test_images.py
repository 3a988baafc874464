"""A source image is defective if one of its patches is, and has their highest score."""

import numpy as np

from steel_training.evaluation.images import by_source


def test_source_image_scores_as_its_worst_patch() -> None:
    labels, scores, groups = by_source(
        np.array([0, 1, 0, 0]),
        np.array([0.2, 0.1, 0.7, 0.3]),
        np.array(["coil1", "coil1", "coil2", "coil1"]),
        np.array(["a", "a", "b", "c"]),
    )
    assert labels.tolist() == [1, 0, 0]
    assert scores.tolist() == [0.2, 0.7, 0.3]
    assert groups.tolist() == ["coil1", "coil2", "coil1"]
