"""Time and memory of reading, splitting and validating a manifest of many rows: "Scale" in docs/speed.md.

    python benchmarks/manifest_scale.py [--rows 200000 1000000]

A profile of synthetic strips is repeated up to the given number of rows, each with its own id, path and pixels; the manifest is in a folder as CSV,
its images do not exist. Each step runs in its own process. Prints Markdown.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from steel_training.config import ValidationConfig
from steel_training.data.dataset import find_dataset, groups_of
from steel_training.data.drift import Comparison
from steel_training.data.profile import profile_patches
from steel_training.data.splits import assign_splits
from steel_training.ingest.synthetic.sample import make_sample
from steel_training.validation.validate import validate_patches

STEPS = ("read and split", "validate")
COIL, PHOTOGRAPH = 400, 40


def make(folder: Path, rows: int) -> None:
    """Write `manifest.csv` and `profile.parquet`."""
    make_sample(str(folder / "sample"), coils=4, photographs_per_coil=1)
    dataset = find_dataset(str(folder / "sample"))
    profile = profile_patches(dataset.storage, dataset.manifest).drop(columns="anchors")
    number = np.arange(rows)
    table = profile.iloc[number % len(profile)].reset_index(drop=True)
    names = pd.Series(number).astype(str)
    table = table.assign(
        patch_id="p" + names, path="patches/p" + names + ".png", pixel_hash="h" + names, file_hash="f" + names,
        source_id="s" + (pd.Series(number) // PHOTOGRAPH).astype(str), group_id="c" + (pd.Series(number) // COIL).astype(str),
    )  # fmt: skip
    table[["patch_id", "path", "label", "source_id", "group_id"]].to_csv(folder / "manifest.csv", index=False)
    table["part"] = assign_splits(table, seed=20, val_share=0.2, test_share=0.2)
    table["group"] = groups_of(table)
    table.to_parquet(folder / "profile.parquet", index=False)


def work(step: str, folder: Path) -> None:
    """Do one step and print seconds and the highest memory, GB."""
    started = time.monotonic()
    if step == STEPS[0]:
        manifest = find_dataset(str(folder)).manifest
        assign_splits(manifest, seed=20, val_share=0.2, test_share=0.2)
    else:
        outcome = validate_patches(
            pd.read_parquet(folder / "profile.parquet"), ValidationConfig(), folder=folder / "out", split_problem=None,
            drift=Comparison(None, "there is no champion to compare with"),
        )  # fmt: skip
        assert outcome.success, [each for each in outcome.expectations if each.blocks]
    print(time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 1_000_000])
    parser.add_argument("--step", choices=STEPS)
    parser.add_argument("--folder")
    options = parser.parse_args()
    if options.step:
        work(options.step, Path(options.folder))
        return
    print("| rows | step | s | µs a row | highest memory, GB |\n|---|---|---|---|---|")
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as scratch:
            make(Path(scratch), rows)
            for step in STEPS:
                command = [sys.executable, __file__, "--step", step, "--folder", scratch]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                seconds, memory = map(float, done.stdout.split()[-2:])
                print(f"| {rows:,} | {step} | {seconds:.1f} | {1e6 * seconds / rows:.0f} | {memory:.2f} |", flush=True)


if __name__ == "__main__":
    main()
