"""Steel on which something repeats honestly: false alarms, and copies found, of the search for the same steel. The table of docs/leakage.md.

    python benchmarks/leak_patterns.py [--seeds 20] [--minutes M] [--families NAME ...] [--results FILE] [--photographs IMAGES MASKS [--groups CSV]]

Each seed draws a pattern of each family (`patterned_steel.py`) and puts it onto other source images: synthetic strips, or real images, one of
each piece of steel. Patches of 64 pixels, on strips of odd seeds 128. Copies of 2 % of the patches are planted: half a patch away, rotated or mirrored,
and another exposure, all after JPEG at quality 90, and overlaps without loss. A pair of patches of different source images, or of places of one source
image too far apart to share steel, is a false alarm. Pairs of a planted copy and other steel are counted by themselves: such a dataset is blocked rightly.

With --results each finished seed is added to a file of JSON lines and not run again, so that the benchmark can be run in pieces. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from leak_plants import Data, Patch, SourceImages, as_jpeg, copied, cut_again, cut_up, divided, exposed
from patterned_steel import FAMILIES, patterned

from steel_training.data.matching.keypoints import keypoints_of
from steel_training.data.matching.same_surface import same_surface_pairs
from steel_training.data.matching.symmetries import oriented
from steel_training.ingest.synthetic.sample import photograph_coil

Ground = tuple[str, np.ndarray, np.ndarray]
"""Group, grey values and mask of a source image."""

COPIES = (
    "half a patch away, JPEG 90",
    "rotated or mirrored, JPEG 90",
    "another exposure, JPEG 90",
    "overlap, lossless",
)


def strips(seed: int) -> tuple[list[Ground], int]:
    """Draw one source image of each of 14 coils; and the side of a patch."""
    side, shape = (128, (384, 640)) if seed % 2 else (64, (256, 448))
    photographs = (photograph_coil(coil, photographs=1, shape=shape, seed=3000 + seed) for coil in range(14))
    return [(photo.coil, photo.pixels, photo.mask) for of_coil in photographs for photo in of_coil], side


def real(steel: SourceImages) -> Callable[[int], tuple[list[Ground], int]]:
    """Sample one source image of each of 60 pieces of steel."""
    members = defaultdict(list)
    for name, group in steel.groups.items():
        members[group].append(name)

    def sample(seed: int) -> tuple[list[Ground], int]:
        random = np.random.default_rng(seed)
        chosen = {group: random.choice(members[group]) for group in random.permutation(sorted(members))[:60]}
        return [(group, steel.images[name], steel.masks[name]) for group, name in chosen.items()], 64

    return sample


def with_copies(data: Data, side: int, seed: int) -> tuple[Data, dict[str, range]]:
    """Return the dataset with copies of 2 % of its patches, and the rows of each kind of copy."""
    half = side // 2
    kinds = (
        cut_again((0, 0), (half, half), as_jpeg),
        lambda patch, random: as_jpeg(oriented(patch.pixels, int(random.integers(1, 8)))),
        lambda patch, random: as_jpeg(exposed(patch.pixels, random)),
        cut_again((9, half - 1), (9, half - 1)),
    )
    rows, whole = {}, list(data)
    for number, (name, again) in enumerate(zip(COPIES, kinds, strict=True)):
        plant = copied(again, max(4, len(data) // 50))
        planted = plant(data, np.random.default_rng((seed, number)))[len(data) :]
        rows[name] = range(len(whole), len(whole) + len(planted))
        whole += planted
    return whole, rows


def judged(data: Data, rows: dict[str, range]) -> dict[str, list[int]]:
    """Search for the same steel: false pairs, those of a copy and other steel, and (found, planted) of each kind of copy."""
    splits = np.unique([patch.split for patch in data], return_inverse=True)[1]
    keypoints = [keypoints_of(patch.pixels).tobytes() for patch in data]
    found, planted, false, astray = set(), {row for of_kind in rows.values() for row in of_kind}, 0, 0
    for pair in same_surface_pairs(keypoints, splits, lambda row: data[row].pixels):
        if _may_share_steel(data[pair.first], data[pair.second]):
            found |= {pair.first, pair.second}
        elif planted & {pair.first, pair.second}:
            astray += 1
        else:
            false += 1
    return {
        "false": [false],
        "astray": [astray],
        **{kind: [len(found & set(of_kind)), len(of_kind)] for kind, of_kind in rows.items()},
    }


def _may_share_steel(first: Patch, second: Patch) -> bool:
    """Return whether two patches are of one source image, and near enough to overlap: a copy is cut at most half a patch from its place."""
    reach = len(first.pixels) * 3 // 2
    return (
        first.source_image is second.source_image
        and abs(first.y - second.y) < reach
        and abs(first.x - second.x) < reach
    )


def run(ground: Callable[[int], tuple[list[Ground], int]], family: str, seed: int) -> dict[str, list[int]]:
    """Draw one dataset and judge it."""
    number = list(FAMILIES).index(family)
    put = FAMILIES[family](np.random.default_rng((seed, number)))
    sources, side = ground(seed)
    data: Data = []
    for each, (group, pixels, mask) in enumerate(sources):
        image = patterned(put, pixels, np.random.default_rng((seed, number, each)))
        data += cut_up(image, mask, {"source": f"source{each}", "group": group}, side)
    return judged(*with_copies(divided(data, seed), side, seed))


def compare(name: str, ground: Callable[[int], tuple[list[Ground], int]], options: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the table for one kind of steel."""
    rows = [json.loads(line) for line in options.results.read_text().splitlines()] if options.results.exists() else []
    done = {(row["family"], row["seed"]): row["judged"] for row in rows if row["steel"] == name}
    started = time.monotonic()
    for seed in range(options.seeds):
        for family in options.families:
            if (family, seed) in done or time.monotonic() - started > 60 * options.minutes:
                continue
            done[family, seed] = run(ground, family, seed)
            with options.results.open("a") as file:
                file.write(
                    json.dumps({"steel": name, "family": family, "seed": seed, "judged": done[family, seed]}) + "\n"
                )
            print(f"{name}: {family}, seed {seed}: {done[family, seed]}", file=sys.stderr, flush=True)
    yield f"\n**{name}**\n\n| what repeats | seeds with a false alarm | false pairs | copies with other steel | {' | '.join(COPIES)} |"
    yield "|---" * (4 + len(COPIES)) + "|"
    for family in options.families:
        of_family = [result for (each, _), result in done.items() if each == family]
        total: Counter[str] = Counter()
        for result in of_family:
            total.update({kind: values[0] for kind, values in result.items()})
            total.update({f"of {kind}": values[-1] for kind, values in result.items()})
        alarms = sum(result["false"][0] > 0 for result in of_family)
        cells = [f"{total[kind]} of {total[f'of {kind}']}" for kind in COPIES]
        yield f"| {family} | {alarms} of {len(of_family)} | {total['false']} | {total['astray']} | {' | '.join(cells)} |"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=600.0, help="begins no dataset after so long")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES), metavar="NAME")
    parser.add_argument(
        "--results", type=Path, default=Path("leak_patterns.jsonl"), help="JSON lines, read and added to"
    )
    parser.add_argument("--photographs", type=Path, nargs=2, metavar=("IMAGES", "MASKS"))
    parser.add_argument("--groups", type=Path, help="CSV of source images that show the same steel")
    options = parser.parse_args()
    if options.photographs:
        lines = compare("real images", real(SourceImages.read(*options.photographs, options.groups)), options)
    else:
        lines = compare("synthetic strips", strips, options)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
