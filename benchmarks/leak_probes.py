"""Detection and false-alarm rates of the leak probes: the tables of docs/leakage.md.

    python benchmarks/leak_probes.py [--seeds 20] [--first 0] [--minutes M] [--codes CODE ...]
        [--photographs IMAGES MASKS [--groups CSV] | --strips] [--published FOLDER]

Runs every probe on data without leaks, and the probe concerned on data with one kind of leak planted (`leak_plants.py`): strips drawn by `steel-training
sample`, or patches of 64 pixels cut from real images with pixel masks (0 is clean). Source images that show the same steel
are found first and kept in one split (`steel-training ingest groups`), since a published dataset may leak. --published names a set with a
`manifest.csv` (image, split, and leak_group where known) and a folder `images`: the results of the probes on its published split. Prints Markdown.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from leak_plants import HONEST, PLANTED, Data, Patch, SourceImages, drawn, each_lit_in_its_own_way
from PIL import Image

from steel_training.data.matching.keypoints import keypoints_of
from steel_training.data.matching.same_surface import same_surface_pairs
from steel_training.data.measurements import measure
from steel_training.leakage.baseline_check import probe_dataset
from steel_training.leakage.capture_device import two_cameras
from steel_training.leakage.coordinates import coordinates
from steel_training.leakage.distribution_shift import splits_differ
from steel_training.leakage.duplicates import contradicting_labels, identical_pixels
from steel_training.leakage.file_metadata import file_metadata
from steel_training.leakage.file_modified import file_modified
from steel_training.leakage.group_effect import SHUFFLED, group_effect, shuffled_labels
from steel_training.leakage.metadata import manifest_columns, names
from steel_training.leakage.near_duplicates import same_surface
from steel_training.leakage.pixel_property import pixel_property
from steel_training.leakage.probe import Probe
from steel_training.leakage.shared_groups import shared_groups

BY_CODE: dict[str, Callable[[pd.DataFrame], Probe]] = {
    "leak.group": shared_groups,
    "leak.duplicate": identical_pixels,
    "leak.contradiction": contradicting_labels,
    "leak.coordinates": coordinates,
    "leak.file_metadata": file_metadata,
    "leak.file_modified": file_modified,
    "leak.name": names,
    "leak.manifest_column": manifest_columns,
    "leak.pixel_property": pixel_property,
    "leak.two_cameras": two_cameras,
    "leak.parts_differ": splits_differ,
    "leak.group_effect": group_effect,
    SHUFFLED: shuffled_labels,
}
"""The others are verdicts of `same_surface`."""

DIVIDED = "folds that divide source images, under lamps of their own"


@lru_cache(maxsize=200_000)
def _measured(data: bytes) -> dict[str, object]:
    return measure(data)._asdict()


def profiled(data: Data) -> tuple[pd.DataFrame, list[bytes]]:
    """Return the profile of a dataset, and the keypoints of every row."""
    measured = pd.DataFrame([_measured(patch.stored()) for patch in data])
    names = [f"p{number:05d}" for number in range(len(data))]
    about = pd.DataFrame(
        {
            "patch_id": names,
            "path": [f"{patch.folder}/{name}.png" for patch, name in zip(data, names, strict=True)],
            "label": [patch.label for patch in data],
            "source_id": pd.array([patch.source for patch in data], dtype="string"),
            "group": pd.array([patch.group or patch.source for patch in data], dtype="string"),
            "part": [patch.split for patch in data],
            "line": [patch.line for patch in data],
            "captured_at": [patch.captured_at for patch in data],
            "x": [patch.x for patch in data],
            "y": [patch.y for patch in data],
            "modified": [
                1_767_600_000.0 + 0.01 * row if patch.modified is None else patch.modified
                for row, patch in enumerate(data)
            ],
        }
    )
    return pd.concat([about, measured.drop(columns="anchors")], axis=1), list(measured["anchors"])


def verdicts(data: Data, codes: set[str] | None = None) -> tuple[list[Probe], float]:
    """Profile a dataset, run the probes of these codes, or all, and return their results and durations."""
    profile, keypoints = profiled(data)
    started = time.monotonic()
    if codes is None:
        found = probe_dataset(profile, keypoints, lambda row: grey_of(data[row]))
    elif codes <= set(BY_CODE):
        found = [BY_CODE[code](profile) for code in sorted(codes)]
    else:
        found = same_surface(profile, keypoints, lambda row: grey_of(data[row]))
    return found, time.monotonic() - started


def grey_of(patch: Patch) -> np.ndarray:
    """Read the grey values of a patch from its file, uint8 (height, width)."""
    return np.asarray(Image.open(io.BytesIO(patch.stored())).convert("L"))


def compare(name: str, sample: Callable[[int], Data], seeds: range, minutes: float, codes: set[str]) -> None:
    """Print both tables for one kind of steel and the probes of these codes, or all, over as many seeds as were begun in time."""
    chosen = {kind: (plant, wanted) for kind, (plant, wanted) in PLANTED.items() if not codes or wanted & codes}
    tests_the_method = not codes or SHUFFLED in codes
    caught: Counter[str] = Counter()
    honest: dict[str, Counter[str]] = {kind: Counter() for kind in HONEST}
    took, sizes = defaultdict(list), []
    started = time.monotonic()
    for seed in seeds:
        if time.monotonic() - started > 60 * minutes:
            break
        data = sample(seed)
        sizes.append(len(data))
        for kind, change in HONEST.items():
            found, seconds = verdicts(change(data, seed), codes or None)
            took[kind].append(seconds)
            honest[kind].update(_alarms(found))
        for kind, (plant, expected) in chosen.items():
            found, seconds = verdicts(plant(data, np.random.default_rng(seed)), expected)
            took[kind].append(seconds)
            caught[kind] += any(not probe.passed and probe.code in expected for probe in found)
        if tests_the_method:
            lit, _ = profiled(each_lit_in_its_own_way(data, np.random.default_rng(seed)))
            caught[DIVIDED] += not shuffled_labels(lit, kept_together="patch_id").passed
        print(f"{name}: seed {seed} done", file=sys.stderr, flush=True)
    count = len(sizes)
    print(f"\n**{name}**, {count} seeds from {seeds.start}, {min(sizes):,} to {max(sizes):,} patches\n")
    print("| planted | found by | found | seconds |\n|---|---|---|---|")
    for kind, (_, expected) in chosen.items():
        print(f"| {kind} | {' or '.join(sorted(expected))} | {caught[kind]} of {count} | {np.median(took[kind]):.1f} |")
    if tests_the_method:
        print(f"| {DIVIDED} | {SHUFFLED} | {caught[DIVIDED]} of {count} | |")
    print("\n| without leaks | false alarms | warnings | seconds |\n|---|---|---|---|")
    for kind in HONEST:
        blocks = {code: n for code, n in honest[kind].items() if not code.startswith("△")}
        warns = {code: n for code, n in honest[kind].items() if code.startswith("△")}
        cells = [
            ", ".join(f"{code} {n}" for code, n in sorted(each.items())) or f"0 of {count}" for each in (blocks, warns)
        ]
        print(f"| {kind} | {cells[0]} | {cells[1]} | {np.median(took[kind]):.1f} |", flush=True)


def _alarms(found: list[Probe]) -> list[str]:
    """Return the codes of alarms; warnings carry a mark. Unjudged probes are neither."""
    return [("" if probe.blocks else "△ ") + probe.code for probe in found if not probe.passed and probe.judged]


def published(folder: Path) -> None:
    """Print the results of the same-surface probes on a dataset in its published split."""
    table = pd.read_csv(folder / "manifest.csv")
    data = []
    for _, row in table.iterrows():
        image = np.asarray(Image.open(next((folder / "images").glob(f"{row['image']}.*"))).convert("L"))
        data.append(Patch(image, image, 0, 0, len(data) % 2, row["image"], row["image"], split=row["split"]))
    if "leak_group" in table:
        known = table.groupby("leak_group")["split"].transform("nunique") > 1
        images = [patch.pixels for patch in data]
        keypoints = [keypoints_of(image).tobytes() for image in images]
        pairs = same_surface_pairs(keypoints, pd.factorize(table["split"])[0], images.__getitem__)
        named = table.index.isin([row for pair in pairs for row in (pair.first, pair.second)])
        test = table["split"] != "train"
        print(
            f"\n{(known & test & named).sum()} of {(known & test).sum()} test images that are known to be copies are found."
        )
    found, seconds = verdicts(data)
    print(f"\n**{folder.name}**, {len(data)} images in the split they were published with, {seconds:.1f} s\n")
    for probe in found:
        if probe.code in ("leak.duplicate", "leak.overlap", "leak.rotation", "leak.near_duplicate"):
            print(f"- {probe.code}: {'passed' if probe.passed else 'ALARM'}. {probe.message}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--groups", type=Path, help="CSV of source images that show the same steel")
    parser.add_argument("--photographs", type=Path, nargs=2, metavar=("IMAGES", "MASKS"))
    parser.add_argument("--published", type=Path)
    parser.add_argument("--strips", action="store_true", help="plants into synthetic strips")
    parser.add_argument("--codes", nargs="+", default=[], help="asks only these probes, and plants what they look for")
    parser.add_argument("--minutes", type=float, default=600.0, help="begins no seed after so long")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    if options.published:
        published(options.published)
    if options.photographs:
        compare(
            "real images",
            SourceImages.read(*options.photographs, options.groups).sample,
            seeds,
            options.minutes,
            set(options.codes),
        )
    if options.strips:
        compare("synthetic strips", drawn, seeds, options.minutes, set(options.codes))


if __name__ == "__main__":
    main()
