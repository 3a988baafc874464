"""Response time of `steel-training labels review` with few and with many patches waiting, over HTTP from the real process.

    python benchmarks/label_review_speed.py            10 patches; 10,000; 10,000 of which 9,000 are answered

Each patch has surroundings and neighbours. An answer is recorded before the response (written, flushed and renamed). The last line is JSON:
seconds until the page is served, and milliseconds per request, median and 95th percentile of 300.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
from PIL import Image

from steel_training.data.dataset import find_dataset, fingerprint
from steel_training.labels.answers import Answer, Said, append_answers
from steel_training.labels.audit_csv import write_audit_csv, write_companion
from steel_training.labels.neighbours import Nearest
from steel_training.storage import open_storage

SIDE, ACROSS, PER_IMAGE = 64, 10, 100
REQUESTS = 300


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    measured = {}
    for patches, answered in ((10, 0), (10_000, 0), (10_000, 9_000)):
        with tempfile.TemporaryDirectory(prefix="steel-training-benchmark-") as scratch:
            folder = Path(scratch)
            prepare(folder, patches, answered)
            measured[f"{patches} patches, {answered} answered"] = measure(folder)
    for name, figures in measured.items():
        print(name, figures)
    print(json.dumps(measured))


def prepare(folder: Path, patches: int, answered: int) -> None:
    """Write a dataset all of whose labels are doubted, its audit, and answers about the first patches."""
    data = folder / "data" / "2026-01-01"
    (data / "patches").mkdir(parents=True)
    random = np.random.default_rng(0)
    names = [f"p{number:05d}" for number in range(patches)]
    for name in names:
        Image.fromarray(random.integers(60, 180, (SIDE, SIDE), np.uint8)).save(
            data / "patches" / f"{name}.png", compress_level=1
        )
    place = np.arange(patches) % PER_IMAGE
    source = [f"s{number // PER_IMAGE}" for number in range(patches)]
    manifest = pd.DataFrame(
        {
            "patch_id": names,
            "path": [f"patches/{name}.png" for name in names],
            "label": np.arange(patches) % 2,
            "source_id": source,
            "x": SIDE * (place % ACROSS),
            "y": SIDE * (place // ACROSS),
            "split": "train",
        }
    )
    manifest.to_csv(data / "manifest.csv", index=False)
    table = manifest.assign(
        suggested=1 - manifest["label"], quality=0.1, score=0.5, group=source, neighbours=0.5, copy=False
    )
    write_audit_csv(folder / "audit.csv", table)
    content = fingerprint(find_dataset(str(data)))
    alike = [tuple(str(name) for name in random.choice(names, 3)) for _ in range(2 * patches)]
    nearest = {name: Nearest(alike[2 * row], alike[2 * row + 1]) for row, name in enumerate(names)}
    write_companion(folder / "audit.csv", content, nearest)
    answers = [
        Answer(str(data), content, name, Said.CLEAN, "Ada", "2026-01-02T10:00:00+00:00", 1.0, False, {"label": 0})
        for name in names[:answered]
    ]
    for start in range(0, answered, 500):
        append_answers(open_storage(folder / "store"), f"earlier-{start}", answers[start : start + 500])


def measure(folder: Path) -> dict[str, float]:
    words = [sys.executable, "-m", "steel_training", "labels", "review", str(folder / "data"), "--reviewer", "Ada"]
    words += ["--store", str(folder / "store"), "--audit", str(folder / "audit.csv")]
    started = time.monotonic()
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = next(found.group(0) for line in process.stderr if (found := re.search(r"http://\S+", line)))
        begun = time.monotonic() - started
        try:
            return {"start_s": round(begun, 1), **ask(address)}
        finally:
            process.terminate()


def ask(address: str) -> dict[str, float]:
    headers = {"Origin": "/".join(address.split("/")[:3]), "Content-Type": "application/json"}
    with httpx.Client(base_url=address, trust_env=False, timeout=300) as client:
        found = client.get("queue").raise_for_status().json()
        pictures = [each["picture"] for item in found["items"] for each in item["around"]]

        def answer() -> None:
            body = {"name": found["items"][0]["name"], "said": "clean", "seconds": 1.0}
            client.post("answer", json=body, headers=headers).raise_for_status()

        def undo() -> None:
            client.post("undo", json={}, headers=headers).raise_for_status()

        answers, undos = timed(answer, undo)
        shown, _ = timed(lambda: client.get(f"pictures/{pictures[0]}").raise_for_status(), lambda: None)
    figures = {}
    for name, seconds in (("answer", answers), ("undo", undos), ("picture", shown)):
        figures[f"{name}_median_ms"] = round(1e3 * statistics.median(seconds), 1)
        figures[f"{name}_p95_ms"] = round(1e3 * sorted(seconds)[int(0.95 * len(seconds))], 1)
    return figures


def timed(one: Callable[[], object], other: Callable[[], object]) -> tuple[list[float], list[float]]:
    """Call two functions in turn; return the seconds of each call."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(REQUESTS):
        for kept, work in zip(seconds, (one, other), strict=True):
            started = time.perf_counter()
            work()
            kept.append(time.perf_counter() - started)
    return seconds


if __name__ == "__main__":
    main()
