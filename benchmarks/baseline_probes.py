"""Detection and false-alarm rates of the probes on the baseline CNN: too good, collapse, simple cues. The table of docs/leakage.md.

    python benchmarks/baseline_probes.py [--seeds 20] [--first 0] [--minutes M] [--strips] [--photographs IMAGES MASKS [--groups CSV]]
        [--kinds KIND ...] [--results FILE]

Trains the baseline CNN of a run on data without leaks, on data whose defective patches have a faint mark that no other probe detects or a little more noise, and
with shuffled labels, on black images and at a learning rate that is far too high. Every seed draws other steel and another split. Prints Markdown.

With --results each training is added to a file of JSON lines, and what is in it already is not run again: a benchmark of hours
can be run in pieces (--minutes). --groups takes the table of `steel-training ingest groups IMAGES CSV`, which saves finding them again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from leak_plants import Data, SourceImages, drawn, noisier
from leak_probes import _measured

from steel_training.config import Config
from steel_training.data.patches import PatchSet
from steel_training.leakage import Probe, baseline_check
from steel_training.leakage.simple_cue import simple_cue
from steel_training.storage import open_storage
from steel_training.training.model_trainer import BaselineCNN, ModelTrainer
from steel_training.training.scoring import score

CODES = (
    "leak.too_good",
    "leak.simple_cue",
    "collapse.loss",
    "collapse.constant_score",
    "collapse.one_class",
    "collapse.chance",
)

COLLAPSE = {code for code in CODES if code.startswith("collapse.")}
DIVERGING = "a learning rate a thousand times as high"


def marked(data: Data, _: np.random.Generator) -> Data:
    """Put a checkerboard of 25 grey values into a corner of 8 pixels of every defective patch: a stamp of some software."""
    board = 25 * (np.indices((8, 8)).sum(0) % 2)

    def stamped(pixels: np.ndarray) -> np.ndarray:
        changed = pixels.astype(np.int16)
        changed[:8, :8] += board
        return np.clip(changed, 0, 255).astype(np.uint8)

    return [replace(patch, pixels=stamped(patch.pixels)) if patch.label else patch for patch in data]


def shuffled(data: Data, random: np.random.Generator) -> Data:
    labels = random.permutation([patch.label for patch in data])
    return [replace(patch, label=int(label)) for patch, label in zip(data, labels, strict=True)]


def black(data: Data, _: np.random.Generator) -> Data:
    """The cap is on the lens."""
    return [replace(patch, pixels=np.zeros_like(patch.pixels)) for patch in data]


def unchanged(data: Data, _: np.random.Generator) -> Data:
    return data


KINDS: dict[str, tuple[Callable[[Data, np.random.Generator], Data], set[str]]] = {
    "without leaks": (unchanged, set()),
    "defects bear a stamp": (marked, {"leak.too_good"}),
    "defects are noisier": (noisier, {"leak.simple_cue"}),
    "labels shuffled": (shuffled, COLLAPSE),
    "all images black": (black, COLLAPSE),
    DIVERGING: (unchanged, COLLAPSE),
}
SETTINGS = {DIVERGING: {"learning_rate": 1.0}}
"""Of the baseline CNN, where they are not the defaults."""


def probes_of(data: Data, seed: int, settings: Mapping[str, float]) -> list[Probe]:
    """Train the baseline CNN with these settings and run every probe that comes after it."""
    config = Config.model_validate({"data": {"seed": seed}, "baseline": settings})
    with tempfile.TemporaryDirectory() as scratch:
        for number, patch in enumerate(data):
            Path(scratch, f"p{number:05d}.png").write_bytes(patch.stored())
        storage = open_storage(scratch)
        part = np.array([patch.split for patch in data])
        labels = np.array([patch.label for patch in data])
        sets = {
            name: PatchSet(
                storage,
                tuple(f"p{row:05d}.png" for row in np.flatnonzero(part == name)),
                labels[part == name],
                f"{seed}-{time.time_ns()}",
            )
            for name in ("train", "val")
        }
        trainer = ModelTrainer(config, sets["train"], sets["val"], logs=None)
        baseline = BaselineCNN(config.baseline)
        trained = trainer.train_baseline(baseline)
        scores = score(baseline.keras_model, sets["val"])
    profile = pd.DataFrame([_measured(patch.stored()) for patch in data])
    groups = np.array([str(patch.group or patch.source) for patch in data])
    profile = profile.assign(label=labels, part=part, group=groups)
    val, epochs = sets["val"].labels, len(trained.history["loss"])
    bound = baseline_check.best_epoch_bound(val, scores, groups[part == "val"], epochs)
    not_run = [Probe.unjudged("leak.two_cameras", "not run")]
    return [
        baseline_check.too_good(trained.history, config.baseline, not_run, bound),
        baseline_check.loss_fell(trained.history, sets["train"].labels),
        *baseline_check.collapse(val, scores, bound),
        simple_cue(profile, scores),
    ]


def raised_by(data: Data, seed: int, kind: str) -> list[str]:
    """Return the codes of the probes that raised an alarm or warning on one kind of data."""
    changed = KINDS[kind][0](data, np.random.default_rng(seed))
    return sorted({probe.code for probe in probes_of(changed, seed, SETTINGS.get(kind, {})) if not probe.passed})


def compare(
    name: str, sample: Callable[[int], Data], seeds: range, minutes: float, kinds: list[str], results: Path | None
) -> None:
    """Print the table for one kind of steel, over as many seeds as were begun within the time, or finished before."""
    found = _finished(name, results)
    started = time.monotonic()
    for seed in seeds:
        missing = [kind for kind in kinds if kind not in found[seed]]
        if not missing:
            continue
        if time.monotonic() - started > 60 * minutes:
            break
        data = sample(seed)
        for kind in missing:
            found[seed][kind] = raised_by(data, seed, kind)
            if results is not None:
                with results.open("a") as file:
                    row = {"steel": name, "seed": seed, "kind": kind, "raised": found[seed][kind]}
                    file.write(json.dumps(row) + "\n")
        print(f"{name}: seed {seed}, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    print(f"\n**{name}**\n\n| | found | {' | '.join(f'`{code}`' for code in CODES)} |\n|---|---|{'---|' * len(CODES)}")
    for kind in kinds:
        expected = KINDS[kind][1]
        raised = [set(by_kind[kind]) for by_kind in found.values() if kind in by_kind]
        caught = f"{sum(bool(codes & expected) for codes in raised)} of {len(raised)}" if expected else "–"
        counts = (str(sum(code in codes for codes in raised)) for code in CODES)
        print(f"| {kind} ({len(raised)} seeds) | {caught} | {' | '.join(counts)} |", flush=True)


def _finished(name: str, results: Path | None) -> defaultdict[int, dict[str, list[str]]]:
    """Return what an earlier call has written about this kind of steel, by seed and kind of data."""
    found: defaultdict[int, dict[str, list[str]]] = defaultdict(dict)
    lines = results.read_text().splitlines() if results is not None and results.exists() else ()
    for row in map(json.loads, lines):
        if row["steel"] == name:
            found[row["seed"]][row["kind"]] = row["raised"]
    return found


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--minutes", type=float, default=600.0, help="begins no seed after so long")
    parser.add_argument("--strips", action="store_true")
    parser.add_argument("--photographs", type=Path, nargs=2, metavar=("IMAGES", "MASKS"))
    parser.add_argument("--groups", type=Path, help="CSV of source images that show the same steel")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="kinds of data; all if left out")
    parser.add_argument("--results", type=Path, help="JSON lines, one per training: read and added to")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    if options.strips:
        compare("synthetic strips", drawn, seeds, options.minutes, options.kinds, options.results)
    if options.photographs:
        steel = SourceImages.read(*options.photographs, options.groups)
        compare("real images", steel.sample, seeds, options.minutes, options.kinds, options.results)


if __name__ == "__main__":
    main()
