"""Ranks and estimates of cleanlab on scores that another process wrote: run by `label_audit.py` in an environment with cleanlab.

    python benchmarks/peers/cleanlab_ranking.py FILE.npz

FILE holds `labels` and `scores`, (cases, n). Writes beside it FILE.cleanlab.npz: `quality`, (cases, n), and `wrong`, (cases, 2), the
share of wrong labels among patches labelled 0 and 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from cleanlab.count import compute_confident_joint
from cleanlab.rank import get_label_quality_scores


def main() -> None:
    """Run cleanlab on every case."""
    given = Path(sys.argv[1])
    cases = np.load(given)
    quality, wrong = [], []
    for labels, scores in zip(cases["labels"], cases["scores"], strict=True):
        probabilities = np.stack([1 - scores, scores], axis=1)
        quality.append(get_label_quality_scores(labels, probabilities))
        joint = compute_confident_joint(labels, probabilities)
        wrong.append([joint[0, 1] / joint[0].sum(), joint[1, 0] / joint[1].sum()])
    np.savez(given.with_suffix(".cleanlab.npz"), quality=np.array(quality), wrong=np.array(wrong))


if __name__ == "__main__":
    main()
