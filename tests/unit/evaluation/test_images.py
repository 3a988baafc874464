"""A photograph is defective when one of its patches is, and scores as its highest patch."""

import numpy as np

from steel_training.evaluation.images import by_source


def test_a_photograph_is_its_worst_patch() -> None:
    labels, scores, groups = by_source(
        np.array([0, 1, 0, 0]),
        np.array([0.2, 0.1, 0.7, 0.3]),
        np.array(["coil1", "coil1", "coil2", "coil1"]),
        np.array(["a", "a", "b", "c"]),
    )
    assert labels.tolist() == [1, 0, 0]
    assert scores.tolist() == [0.2, 0.7, 0.3]
    assert groups.tolist() == ["coil1", "coil2", "coil1"]
