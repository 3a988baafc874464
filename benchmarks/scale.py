"""Time and memory of every stage as a dataset grows: "Scale" in docs/speed.md.

    python benchmarks/scale.py [--patches 10000 50000 200000] [--side 256] [--epochs 2] [--stages profile_patches …]

Makes unlike patches of smooth grain, one in five with a scratch, as PNG; then does one stage after another, each in a process of its
own by the command line, as the worker does. Few epochs, since an epoch takes the same memory as twenty. Memory is the highest of
the stage's process and of each process that it started. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

PHOTOGRAPH, COIL = 8, 40
# The scratches are so clear that a few image statistics separate them.
LET_PASS = [word for code in ("leak.pixel_property", "leak.too_good") for word in ("--allow", code)]
STAGES = ("profile_patches", "validate_patches", "check_baseline", "train_head", "fine_tune", "evaluate")


def draw(folder: Path, side: int, numbers: range) -> None:
    """Write patches of these numbers."""
    from scipy.ndimage import gaussian_filter

    y, x = np.mgrid[:side, :side]
    for number in numbers:
        random = np.random.default_rng(number)
        grey = 110 + 25 * gaussian_filter(random.standard_normal((side, side), np.float32), 1.0) + random.normal(0, 4)
        if number % 5 == 0:
            lean, at = random.uniform(-0.5, 0.5), random.uniform(0.2, 0.8) * side
            grey += random.uniform(40, 90) * np.exp(-(((x - at - lean * (y - side / 2)) / (side / 60)) ** 2))
        Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(folder / f"p{number:06d}.png", compress_level=1)


def dataset(folder: Path, count: int, side: int) -> None:
    """Make a dataset of so many patches."""
    (folder / "patches").mkdir(parents=True)
    with ProcessPoolExecutor() as pool:
        list(
            pool.map(
                partial(draw, folder / "patches", side),
                [range(at, min(at + 500, count)) for at in range(0, count, 500)],
            )
        )
    number = np.arange(count)
    pd.DataFrame(
        {
            "patch_id": [f"p{each:06d}" for each in number],
            "path": [f"patches/p{each:06d}.png" for each in number],
            "label": (number % 5 == 0).astype(int),
            "source_id": [f"s{each // PHOTOGRAPH:06d}" for each in number],
            "group_id": [f"c{each // COIL:05d}" for each in number],
        }
    ).to_csv(folder / "manifest.csv", index=False)


def measured(words: list[str], log: Path) -> tuple[int, float, float]:
    """Run a command; return its exit code, wall seconds, and the highest memory of a process, GB."""
    started = time.monotonic()
    with log.open("ab") as file:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "steel_training", *words],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, file.fileno(), 1), (os.POSIX_SPAWN_DUP2, file.fileno(), 2)],
        )
        _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), time.monotonic() - started, usage.ru_maxrss / 1e6


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, nargs="+", default=[10_000, 50_000, 200_000])
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument("--stages", nargs="+", default=list(STAGES))
    parser.add_argument(
        "--scratch", help="folder on a large disk: 50 KB per patch of 256 pixels, and the feature cache"
    )
    options = parser.parse_args()
    print(
        f"| patches of {options.side} pixels | stage | exit code | seconds | ms a patch | highest memory, GB |\n|---|---|---|---|---|---|"
    )
    for count in options.patches:
        with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
            dataset(Path(scratch, "data"), count, options.side)
            os.environ["STEEL_TRAINING_SCRATCH"] = f"{scratch}/cache"
            log = Path(scratch, "log")
            about = ["--run-id", "scale", "--store", f"{scratch}/store"]
            config = [
                "model.weights=steel", f"training.views={options.views}", f"training.head.epochs={options.epochs}",
                f"training.fine_tune.epochs={options.epochs}", f"baseline.epochs={options.epochs}",
            ]  # fmt: skip
            settings = [word for each in config for word in ("--set", each)]
            for stage in ("resolve_dataset", *options.stages):
                first = ["--dataset", f"{scratch}/data", *settings, *LET_PASS] if stage == "resolve_dataset" else []
                code, seconds, memory = measured([stage, *about, *first], log)
                print(
                    f"| {count:,} | {stage} | {code} | {seconds:.0f} | {1e3 * seconds / count:.2f} | {memory:.2f} |",
                    flush=True,
                )
                if code:
                    print(log.read_text()[-3000:], file=sys.stderr)
                    break


if __name__ == "__main__":
    main()
