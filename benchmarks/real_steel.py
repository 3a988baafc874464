"""The README's metrics on real steel: ingest, the whole pipeline, wall time, metrics on source images never seen in training.

    python benchmarks/real_steel.py IMAGES MASKS WEIGHTS OUT [--airflow]

IMAGES and MASKS are the folders of the NEU surface-defect images with pixel masks (0 is clean), WEIGHTS a file of
EfficientNetB0 without its top. OUT is a new folder for dataset and store. With --airflow the DAG does the same run, under
`airflow dags test`. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "configs" / "neu.yaml"


def steel_training(*words: str) -> tuple[int, dict, float]:
    """Run one command; return its exit code, its answer, and wall seconds."""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "steel_training", *words], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return done.returncode, json.loads(done.stdout.strip().splitlines()[-1]), time.monotonic() - started


def through_airflow(data: str, out: Path, weights: str) -> tuple[int, dict, float]:
    """Do the run by the DAG; return what `steel_training` above returns, read from the registry's record."""
    sys.path.insert(0, str(ROOT / "scripts"))
    from airflow_home import DAG_ID, AirflowHome, conf_of

    from steel_training.registry import Registry
    from steel_training.storage import open_storage

    home = AirflowHome(out)
    home.prepare()
    conf = conf_of(CONFIG, dataset=data, **{"model.weights": weights})
    command = ["airflow", "dags", "test", DAG_ID, "--conf", json.dumps(conf)]
    started = time.monotonic()
    with open(home.log, "ab") as log:
        done = subprocess.run(command, env=home.environment(), cwd=ROOT, stdout=log, stderr=log)
    decisions = Registry(open_storage(home.store), "steel-defects").decisions()
    if not decisions:
        sys.exit(f"The DAG came to no verdict; see {home.log}.")
    return done.returncode, decisions[-1], time.monotonic() - started


def main() -> int:
    """Run the benchmark; its exit code is that of the run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("images", "masks", "weights", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--airflow", action="store_true", help="by the DAG instead of the command line")
    options = parser.parse_args()
    out: Path = options.out.absolute()
    data, store, groups = str(out / "neu64"), str(out / "store"), str(out / "groups.csv")
    os.environ["STEEL_TRAINING_SCRATCH"] = str(out / "scratch")  # nothing cached from before counts
    # Many of these images overlap; split by source image, a model is tested on steel that it was trained on.
    out.mkdir(parents=True, exist_ok=True)
    code, joined, seconds = steel_training("ingest", "groups", str(options.images.absolute()), groups)
    if code:
        return code
    print(
        f"\n{joined['photographs']:,} source images show {joined['found']:,} pieces of steel, found in {seconds:.0f} s"
    )
    # The published metrics are for a grid without patches at the edge.
    cut = ("--patch", "64", "--stride", "64", "--edges", "leave", "--keep-defective", "0.33", "--groups", groups)
    code, made, seconds = steel_training(
        "ingest", "masks", str(options.images.absolute()), str(options.masks.absolute()), data, *cut
    )
    if code:
        return code
    print(f"\n{made['patches']:,} patches of {made['sources']} source images, cut in {seconds:.0f} s\n")
    weights = str(options.weights.absolute())
    if options.airflow:
        code, answer, seconds = through_airflow(data, out, weights)
    else:
        chosen = ("--config", str(CONFIG), "--set", f"model.weights={weights}")
        code, answer, seconds = steel_training("run", data, "--store", store, *chosen)
    print(f"**{answer['verdict']}** after {seconds / 60:.1f} min on {os.cpu_count()} cores\n")
    print("| metric | test | one-sided 95 % bound |\n|---|---|---|")
    for name, metric in answer["metrics"].items():
        print(f"| {name} | {metric['value']:.4f} | {metric['bound']:.4f} |")
    for reason in answer["reasons"]:
        print(f"\n{reason['code']}: {reason['message']}")
    return code


if __name__ == "__main__":
    sys.exit(main())
