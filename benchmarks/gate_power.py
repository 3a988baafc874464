"""How often the gate passes a model of known recall: the tables of the README, with the gate's own code.

    python benchmarks/gate_power.py [--trials 10000] [--seed 0]

Samples test results of a model whose true recall is known, and applies the bound and the gate that runs use, for each kind of
evidence. In the first table defects are independent; in the second, source images have 4 defects each that tend to be missed together (beta-binomial, intra-group correlation 0.2). Prints Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from steel_training.config import GateConfig
from steel_training.evaluation.confidence import Resamples, design_effect, grouped_share_bound
from steel_training.evaluation.gate import Support, decide
from steel_training.evaluation.metrics import Counts, Estimate

TARGET = 0.95
RECALLS = (0.93, 0.94, 0.95, 0.97, 0.98)
DEFECTS = (60, 100, 200, 300, 500, 1000, 3000)
PER_SOURCE_IMAGE, CORRELATION = 4, 0.2


def found_per_group(
    random: np.random.Generator, recall: float, defects: int, size: int, correlation: float, trials: int
) -> np.ndarray:
    """Draw how many of the `size` defects of every group are found: (trials, defects / size)."""
    shape = (trials, defects // size)
    if correlation == 0:
        return random.binomial(size, recall, shape)
    strength = 1 / correlation - 1
    return random.binomial(size, random.beta(recall * strength, (1 - recall) * strength, shape))


def passes(found: np.ndarray, size: int, resamples: int, seed: int) -> dict[str, float]:
    """Apply the gate to trials, with recall as the only target; return the share that passes by kind of evidence."""
    trials, groups = found.shape
    held = np.full(groups, float(size))
    draws = Resamples.by_group(np.arange(groups), resamples, seed).draws
    counts, total = found.astype(np.float32), np.broadcast_to(held.astype(np.float32), found.shape)
    bounds = grouped_share_bound(counts, total, draws, 0.95)
    effects = design_effect(counts, total)
    recalls = found.sum(1) / held.sum()
    passed = {}
    for evidence in ("point", "bound"):
        gate = GateConfig(recall=TARGET, f2=None, precision=None, auc=None, evidence=evidence)
        decided = {
            (recall, bound): decide(
                {"recall": Estimate(recall, bound)},
                gate,
                baseline=None,
                champion=None,
                counts=Counts(tp=90, fn=10, fp=20, tn=280),
                support=Support(int(held.sum()), effect),
            ).publish
            for recall, bound, effect in set(zip(recalls.tolist(), bounds.tolist(), effects.tolist(), strict=True))
        }
        pairs = zip(recalls.tolist(), bounds.tolist(), strict=True)
        passed[evidence] = sum(decided[pair] for pair in pairs) / trials
    return passed


def table(
    size: int, correlation: float, *, trials: int, seed: int, defects: Sequence[int] = DEFECTS, resamples: int = 1000
) -> dict[tuple[str, float, int], float]:
    """Return the share of passes by (evidence, true recall, defects)."""
    random = np.random.default_rng(seed)
    shares = {}
    for recall in RECALLS:
        for number in defects:
            found = found_per_group(random, recall, number, size, correlation, trials)
            for evidence, share in passes(found, size, resamples, seed).items():
                shares[evidence, recall, number] = share
    return shares


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for title, size, correlation in (
        ("Independent defects", 1, 0.0),
        (f"{PER_SOURCE_IMAGE} defects per source image, correlation {CORRELATION}", PER_SOURCE_IMAGE, CORRELATION),
    ):
        shares = table(size, correlation, trials=options.trials, seed=options.seed)
        print(f"\n**{title}**: passes of recall ≥ {TARGET}, in per cent of {options.trials:,} test splits\n")
        print("| evidence | true recall | " + " | ".join(f"{number:,} defects" for number in DEFECTS) + " |")
        print("|---|---|" + "---|" * len(DEFECTS))
        for evidence in ("point", "bound"):
            for recall in RECALLS:
                cells = " | ".join(f"{100 * shares[evidence, recall, number]:.1f}" for number in DEFECTS)
                print(f"| {evidence} | {recall} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
