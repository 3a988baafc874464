"""Duration of the leak probes by dataset size, and what the search still finds: "Time" in docs/leakage.md.

    python benchmarks/leak_speed.py [5000 20000 100000] [--planted 100]

Draws strips, cuts patches of 64 pixels, and plants rotated or mirrored copies and patches that overlap by half in the test split, all
after JPEG at quality 90: the same number at every size, among ever more other steel. Seconds are CPU time of all cores, so that
other jobs on the machine do not count. Measuring is the profile, including keypoints; the search is included in the time of all
probes. Memory is of the benchmark, which holds all source images and files. Prints Markdown.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import numpy as np
from leak_plants import Data, as_jpeg, copied, cut_again, drawn
from leak_probes import grey_of, profiled

from steel_training.data.matching.candidates import candidates
from steel_training.data.matching.keypoints import KEYPOINT
from steel_training.data.matching.same_surface import same_surface_pairs
from steel_training.data.matching.symmetries import oriented
from steel_training.leakage.baseline_check import probe_dataset


def planted(data: Data, count: int) -> tuple[Data, dict[str, range]]:
    """Return the dataset with copies, and the rows of each kind."""
    kinds = {
        "rotated": copied(lambda patch, random: as_jpeg(oriented(patch.pixels, int(random.integers(1, 8)))), count),
        "half": copied(cut_again((0, 0), (32, 32), as_jpeg), count),
    }
    rows = {}
    for kind, plant in kinds.items():
        first, data = len(data), plant(data, np.random.default_rng(0))
        rows[kind] = range(first, len(data))
    return data, rows


T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Return the result of the work, and its CPU time, seconds."""
    started = time.process_time()
    return work(), time.process_time() - started


def speed(size: int, count: int) -> str:
    """Return the row of the table for so many patches."""
    data, rows = planted(drawn(0, coils=max(8, size // 107), images=4)[:size], count)
    (profile, keypoints), measuring = timed(lambda: profiled(data))
    part = np.unique(profile["part"], return_inverse=True)[1]
    held = np.frombuffer(b"".join(keypoints), KEYPOINT)
    owner = np.repeat(np.arange(len(keypoints)), [len(each) // KEYPOINT.itemsize for each in keypoints])
    _, search = timed(lambda: candidates(held, owner, part))
    pairs, compared = timed(lambda: list(same_surface_pairs(keypoints, part, lambda row: grey_of(data[row]))))
    _, probes = timed(lambda: probe_dataset(profile, keypoints, lambda row: grey_of(data[row])))
    named = {pair.second for pair in pairs}
    strange = sum(pair.second < rows["rotated"].start for pair in pairs)
    found = " | ".join(f"{len(named & set(of_kind))} of {len(of_kind)}" for of_kind in rows.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return (
        f"| {len(data):,} | {measuring:.1f} | {search:.1f} | {compared - search:.1f} | {probes:.1f} | {peak:.1f} "
        f"| {found} | {strange} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="*", default=[5_000, 20_000, 100_000])
    parser.add_argument("--planted", type=int, default=100)
    options = parser.parse_args()
    titles = (
        "patches",
        "measuring, s",
        "search, s",
        "registration, s",
        "all probes, s",
        "memory, GB",
        "oriented",
        "half",
        "others",
    )
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}", flush=True)
    # One process per size, so that caches and memory of one do not affect the next.
    with ProcessPoolExecutor(1, max_tasks_per_child=1) as process:
        for size in options.sizes:
            print(process.submit(speed, size, options.planted).result(), flush=True)


if __name__ == "__main__":
    main()
