"""The label audit on labels that were turned on purpose: the tables of docs/labels.md.

    python benchmarks/label_audit.py DATASET [--seeds 10] [--repeats 3] [--cleanlab PYTHON] [--minutes 8] [--results FILE.jsonl]
    python benchmarks/label_audit.py --speed 5000 20000 100000

DATASET is a dataset of patches, whose labels are taken as true. Of its labels 1, 2, 5 and 10 % are turned: defective ones to clean
(missed), clean ones to defective (false), or both; single patches, or whole source images. The audit ranks all labels by scores of
other groups, and estimates the share of wrong ones. With --cleanlab, an interpreter with cleanlab ranks by the same scores. Where
labels are wrong already, the estimates contain these, and what it ranks before the turned ones may be wrong as well.

--minutes ends a run early; repeat it with the same --results to go on. --speed times the audit on random features (896 channels) instead.
Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from steel_training.evaluation.metrics import average_precision
from steel_training.labels.audit import audit
from steel_training.labels.out_of_fold import REPEATS, out_of_fold_scores
from steel_training.labels.quality import label_quality, worst_first
from steel_training.labels.wrong_shares import estimate_wrong_shares, wrong_shares

WAYS = {"missed": (1,), "false": (0,), "both": (0, 1)}
SHARES = (0.01, 0.02, 0.05, 0.1)
UNITS = ("patches", "source images")
CHANNELS = 896
CASES_AT_ONCE = 24  # of one seed; cleanlab takes seconds to start
PEER = Path(__file__).parent / "peers" / "cleanlab_ranking.py"

Case = tuple[str, str, float, int]


def cases(seeds: int) -> Iterator[Case]:
    """Yield (unit, way, share, seed), all combinations of one seed after another."""
    for seed in range(seeds):
        for unit in UNITS:
            for way in WAYS:
                for share in SHARES:
                    yield unit, way, share, seed


def turn(labels: np.ndarray, sources: np.ndarray, case: Case) -> np.ndarray:
    """Return which labels to turn, bool (n,): the share of all labels, but at most half of those that may be turned."""
    unit, way, share, seed = case
    random = np.random.default_rng([seed, UNITS.index(unit), list(WAYS).index(way), round(1000 * share)])
    may = np.isin(labels, WAYS[way])
    wanted = min(round(share * len(labels)), int(may.sum()) // 2)
    turned = np.zeros(len(labels), bool)
    if unit == "patches":
        turned[random.choice(np.flatnonzero(may), wanted, replace=False)] = True
        return turned
    for source in random.permutation(np.unique(sources)):
        if turned.sum() >= wanted:
            break
        turned |= may & (sources == source)
    return turned


def features_of(uri: str, size: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the manifest with groups, and float32 features (n, channels) on the packaged weights."""
    from steel_training.config import load_config
    from steel_training.data.dataset import find_dataset, fingerprint, groups_of
    from steel_training.data.patches import PatchSet
    from steel_training.labels.features import pooled_features

    dataset = find_dataset(uri)
    table = dataset.manifest.assign(group=groups_of(dataset.manifest))
    config = load_config(overrides=["model.weights=steel", f"data.input_size={size}"])
    patches = PatchSet(dataset.storage, tuple(table["path"]), table["label"].to_numpy(int), fingerprint(dataset))
    return table, pooled_features(config, {"all patches": patches}, images=len(table), stage="benchmark")(
        np.arange(len(table))
    )


def measured(
    chosen: list[Case], table: pd.DataFrame, features: np.ndarray, repeats: int, peer: str | None
) -> list[dict[str, object]]:
    """Return the metrics of some cases, JSON values."""
    truth, groups = table["label"].to_numpy(int), table["group"].to_numpy(str)
    turned = [turn(truth, table["source_id"].to_numpy(str), case) for case in chosen]
    labels = [np.where(each, 1 - truth, truth) for each in turned]
    scores = [
        out_of_fold_scores(features.__getitem__, given, groups, repeats=repeats, seed=case[-1])
        for case, given in zip(chosen, labels, strict=True)
    ]
    rows: list[dict[str, object]] = []
    for case, wrong, given, score in zip(chosen, turned, labels, scores, strict=True):
        order = worst_first(given, score, label_quality(given, score, wrong_shares(given, score)))
        rows.append({"case": case, **ranked(wrong, order, "")})
        for each in estimate_wrong_shares(given, score, groups, seed=case[-1]):
            true_share = float(wrong[given == each.label].mean())
            rows[-1][f"label{each.label}"] = [true_share, each.share, each.low, each.high]
    if peer:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "cases.npz")
            np.savez(path, labels=np.array(labels), scores=np.array(scores))
            subprocess.run([peer, str(PEER), str(path)], check=True)
            theirs = np.load(path.with_suffix(".cleanlab.npz"))
        for row, wrong, quality, shares in zip(rows, turned, theirs["quality"], theirs["wrong"], strict=True):
            row |= ranked(wrong, np.argsort(quality, kind="stable"), "cleanlab_")
            row["cleanlab_wrong"] = shares.tolist()
    return rows


def ranked(turned: np.ndarray, order: np.ndarray, prefix: str) -> dict[str, float]:
    """Return average precision, and precision among as many of the first as were turned."""
    place = np.empty(len(order))
    place[order] = np.arange(len(order))
    count = int(turned.sum())
    return {
        f"{prefix}ap": average_precision(turned.astype(int), -place),
        f"{prefix}precision": float(turned[order[:count]].mean()),
        f"{prefix}precision_50": float(turned[order[:50]].mean()),
    }


def print_tables(rows: list[dict], patches: int) -> None:
    """Print ranking and estimates, means over seeds."""
    groups = defaultdict(list)
    for row in rows:
        unit, way, share, _ = row["case"]
        groups[unit, way, share].append(row)
    seeds = min(map(len, groups.values()))

    def mean(found: list[dict], name: str) -> str:
        return f"{np.mean([row[name] for row in found]):.3f}" if name in found[0] else "–"

    print(f"\n{patches:,} patches, {seeds} seeds; AP is average precision, k the number of turned labels\n")
    print("| turned | way | share | AP | AP, cleanlab | precision at k | cleanlab | at 50 | cleanlab |")
    print("|---|---|---|---|---|---|---|---|---|")
    names = ("ap", "cleanlab_ap", "precision", "cleanlab_precision", "precision_50", "cleanlab_precision_50")
    for (unit, way, share), found in sorted(groups.items(), key=lambda item: (UNITS.index(item[0][0]), *item[0][1:])):
        print(f"| {unit} | {way} | {share:.0%} | " + " | ".join(mean(found, name) for name in names) + " |")
    worse = sum(np.mean([r["ap"] for r in f]) < np.mean([r["cleanlab_ap"] for r in f]) - 0.005 for f in groups.values() if "cleanlab_ap" in f[0])  # fmt: skip
    print(
        f"\nmean AP {mean(rows, 'ap')}, cleanlab {mean(rows, 'cleanlab_ap')}; lower by more than 0.005 in {worse} of {len(groups)} rows"
    )
    print(
        "\n| turned | label | true share, mean | estimate, mean | cleanlab | width of the interval | holds the true share |"
    )
    print("|---|---|---|---|---|---|---|")
    for unit in UNITS:
        for label, name in enumerate(("clean", "defective")):
            own = [row for row in rows if row["case"][0] == unit]
            values = np.array([row[f"label{label}"] for row in own])
            theirs = (
                f"{np.mean([row['cleanlab_wrong'][label] for row in own]):.3f}" if "cleanlab_wrong" in own[0] else "–"
            )
            holds = (values[:, 2] <= values[:, 0]) & (values[:, 0] <= values[:, 3])
            print(
                f"| {unit} | {name} | {values[:, 0].mean():.3f} | {values[:, 1].mean():.3f} | {theirs} | "
                f"{(values[:, 3] - values[:, 2]).mean():.3f} | {holds.mean():.1%} of {len(own)} |"
            )


def print_speed(sizes: list[int]) -> None:
    """Time the whole audit on random features."""
    print("| patches | seconds | peak memory, MB |\n|---|---|---|")
    for size in sizes:
        random = np.random.default_rng(0)
        labels = (random.random(size) < 0.3).astype(int)
        features = random.standard_normal((size, CHANNELS), np.float32)
        features[:, :20] += labels[:, None]
        names = [f"p{number}" for number in range(size)]
        table = pd.DataFrame({"patch_id": names, "label": labels, "group": np.arange(size) // 20, "part": "train", "pixel_hash": names})  # fmt: skip
        started = time.monotonic()
        audit(table, features.__getitem__)
        seconds = time.monotonic() - started
        print(
            f"| {size:,} | {seconds:.1f} | {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} |",
            flush=True,
        )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="?")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=REPEATS, help="divisions into folds; fewer are faster")
    parser.add_argument("--size", type=int, default=128, help="input size of the backbone")
    parser.add_argument("--cleanlab", metavar="PYTHON", help="an interpreter with cleanlab")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--results", type=Path, help="JSON lines, one per case; cases that are in it are not repeated")
    parser.add_argument("--speed", type=int, nargs="+", metavar="PATCHES")
    options = parser.parse_args()
    if options.speed:
        print_speed(options.speed)
        return
    if options.dataset is None:
        parser.error("name a DATASET, or --speed")
    until = time.monotonic() + 60 * options.minutes
    table, features = features_of(options.dataset, options.size)
    rows: list[dict] = []
    if options.results and options.results.exists():
        rows = [json.loads(line) for line in options.results.read_text().splitlines()]
    done = {tuple(row["case"]) for row in rows}
    left = [case for case in cases(options.seeds) if case not in done]
    for start in range(0, len(left), CASES_AT_ONCE):
        if time.monotonic() > until:
            break
        new = measured(left[start : start + CASES_AT_ONCE], table, features, options.repeats, options.cleanlab)
        rows += new
        if options.results:
            with options.results.open("a") as file:
                file.writelines(json.dumps(row) + "\n" for row in new)
    print_tables(rows, len(table))


if __name__ == "__main__":
    main()
