"""False-alarm and detection rates of the drift check when lighting, lens or labelling change: the table of docs/drift.md.

    python benchmarks/drift.py [--sets 20] [--photographs IMAGES MASKS]

Draws sets of strips, each of other coils, and compares every one with every earlier one, as nightly data are compared with those
of the champion; then the same sets after a change. With --photographs, halves of the real images, sampled by group, are compared
with each other. Prints Markdown.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from leak_plants import Data, SourceImages, drawn
from PIL import Image
from scipy.ndimage import gaussian_filter

from steel_training.data.drift import WHOLE, Comparison, Drift, Reading, compare, summarise
from steel_training.data.measurements import measure

Change = Callable[[np.ndarray], np.ndarray]

CHANGED: dict[str, Change] = {
    "lighting a quarter darker": lambda pixels: pixels * 0.75,
    "lighting a tenth darker": lambda pixels: pixels * 0.9,
    "lens out of focus (σ 1)": lambda pixels: gaussian_filter(pixels.astype(float), 1),
    "contrast a third lower": lambda pixels: pixels.mean() + (pixels - pixels.mean()) * 0.67,
}


def profile_of(data: Data, change: Change = lambda pixels: pixels) -> pd.DataFrame:
    """Measure patches as a run does."""
    rows = []
    for patch in data:
        file = io.BytesIO()
        Image.fromarray(np.clip(change(patch.pixels), 0, 255).astype(np.uint8)).save(file, "PNG", compress_level=1)
        about = {"label": patch.label, "part": patch.split, "group": patch.group or patch.source}
        rows.append(about | measure(file.getvalue())._asdict())
    return pd.DataFrame(rows).drop(columns="anchors")


def drifted(before: pd.DataFrame, now: pd.DataFrame) -> list[Drift]:
    found = Comparison("before", "", tuple(compare(summarise(before), now))).properties
    return [each for each in found if each.reading is Reading.DRIFTED]


def line(name: str, found: list[list[Drift]]) -> str:
    """One row of the table: how many comparisons drifted anywhere, as a whole, and in what."""
    whole = sum(any(each.part == WHOLE for each in drifts) for drifts in found)
    seen = sorted({each.name for drifts in found for each in drifts})
    return f"| {name} | {sum(map(bool, found))} of {len(found)} | {whole} | {', '.join(seen) or '–'} |"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=20)
    parser.add_argument("--photographs", type=Path, nargs=2, metavar=("IMAGES", "MASKS"))
    options = parser.parse_args()
    print("| compared | drifted | as a whole | in |\n|---|---|---|---|")
    sets = [drawn(seed) for seed in range(options.sets)]
    profiles = [profile_of(data) for data in sets]
    print(line("strips, other coils", [drifted(*pair) for pair in combinations(profiles, 2)]))
    bare = [
        any(each.psi > 0.25 and each.part == WHOLE for each in compare(summarise(one), other))
        for one, other in combinations(profiles, 2)
    ]
    print(f"| the same, without the sampling limit | | {sum(bare)} | |")
    for name, change in CHANGED.items():
        changed = [profile_of(data, change) for data in sets]
        found = [drifted(profiles[i - 1], changed[i]) for i in range(len(sets))]
        print(line(f"strips, other coils, {name}", found), flush=True)
    more = [pd.concat([p[p["label"] == 1], p[p["label"] == 0].iloc[::3]]) for p in profiles]
    print(line("strips, other coils, three times the share of defects", [drifted(profiles[i - 1], more[i]) for i in range(len(sets))]))  # fmt: skip
    if options.photographs:
        steel = SourceImages.read(*options.photographs)
        halves = []
        for seed in range(options.sets):
            whole = profile_of(steel.sample(seed, images=240))
            groups = np.random.default_rng(seed).permutation(whole["group"].unique())
            first = whole["group"].isin(groups[: len(groups) // 2])
            halves.append((whole[first], whole[~first]))
        print(line("real images, two halves by group", [drifted(*pair) for pair in halves]), flush=True)
        print(line("the same, one half a quarter darker", [drifted(one, other.assign(brightness=other["brightness"] * 0.75)) for one, other in halves]))  # fmt: skip


if __name__ == "__main__":
    main()
