"""The whole pipeline on real steel, cross-validated by source image: every source image is tested once by a model that never saw it.

    python benchmarks/folds_on_real_steel.py DATASET OUT [--set KEY=VALUE …] [--folds 1 3]

DATASET is a dataset of 64-pixel patches (`steel-training ingest masks … --patch 64 --stride 64 --edges leave --keep-defective 0.33`).
Each of 5 folds is in turn the test split, in the manifest's column `split`; the pipeline takes validation from the rest.
Learning rates and epochs are the defaults unless --set says otherwise. OUT keeps folds and stores: an interrupted run
continues where it stopped. Prints Markdown.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

FOLDS, SEED = 5, 20


def joined(dataset: Path, manifest: pd.DataFrame, groups: pd.Series) -> np.ndarray:
    """Return groups that join images sharing a patch, byte by byte: some show the same piece of strip."""
    from scipy.cluster.hierarchy import DisjointSet

    sets = DisjointSet(groups.unique())
    digests = [hashlib.sha256((dataset / path).read_bytes()).digest() for path in manifest["path"]]
    for _, same in groups.groupby(pd.Series(digests, index=groups.index)):
        for other in same.unique()[1:]:
            sets.merge(same.iloc[0], other)
    return np.array([sets[group] for group in groups])


def lay_fold(dataset: Path, out: Path, fold: int) -> Path:
    """Write a copy of the dataset whose test split is the fold; patches are linked, not copied."""
    from sklearn.model_selection import StratifiedGroupKFold

    from steel_training.data.dataset import find_dataset, groups_of

    folder = out / f"fold{fold}"
    if folder.exists():
        return folder
    manifest = find_dataset(str(dataset)).manifest
    together = joined(dataset, manifest, groups_of(manifest))
    cuts = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED).split(manifest, manifest["label"], together)
    _, test = list(cuts)[fold]
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(dataset, partial, copy_function=os.link)
    (partial / "manifest.csv").unlink()
    patches, judged = manifest["patch_id"], set(manifest["patch_id"].iloc[test])
    manifest = pd.read_csv(dataset / "manifest.csv", dtype=str)
    manifest["group_id"] = manifest["patch_id"].map(dict(zip(patches, together, strict=True)))
    manifest["split"] = ["test" if patch in judged else "train" for patch in manifest["patch_id"]]
    manifest.to_csv(partial / "manifest.csv", index=False)
    partial.rename(folder)
    return folder


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--set", action="append", default=[], help="a setting of the run, as for steel-training run")
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(FOLDS)))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    settings = [
        word for setting in ("model.weights=steel", "model.flips=true", *options.set) for word in ("--set", setting)
    ]
    names = ("auc", "recall", "precision", "f2")
    rows = []
    print(f"| fold | {' | '.join(names)} | baseline auc | verdict | min |\n|---|---|---|---|---|---|---|---|")
    for fold in options.folds:
        folder = lay_fold(options.dataset, options.out, fold)
        started = time.monotonic()
        command = ["run", str(folder), "--store", str(options.out / f"store{fold}"), "--run-id", "fold", *settings]
        done = subprocess.run([sys.executable, "-m", "steel_training", *command], stdout=subprocess.PIPE, text=True)
        answer = json.loads(done.stdout.strip().splitlines()[-1])
        if not answer["metrics"]:
            sys.exit(f"Fold {fold} ended as {answer['verdict']}: {answer['reasons']}")
        record = options.out / f"store{fold}" / "runs" / "fold" / "evaluate" / "result.json"
        baseline = json.loads(record.read_text())["outputs"]["baseline"]["auc"]
        rows.append([*(answer["metrics"][name]["value"] for name in names), baseline])
        cells = " | ".join(f"{value:.4f}" for value in rows[-1])
        print(f"| {fold} | {cells} | {answer['verdict']} | {(time.monotonic() - started) / 60:.1f} |", flush=True)
    print(f"| mean | {' | '.join(f'{value:.4f}' for value in np.mean(rows, axis=0))} | | |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
