"""Verifies that a bundle reproduces the trained model's predictions, in a process without this package."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steel_training.bundle.layout import LITE_RECORD, LITE_TOLERANCE, THRESHOLD, TOLERANCE
from steel_training.errors import SteelTrainingError
from steel_training.model_files import require_safe

_NO_LITE = {"included": False, "reason": "not exported", "bytes": None, "recall_drop": None}


class ExportDiffers(SteelTrainingError):
    """The exported model cannot be loaded, or its predictions differ from the trained model's."""


def verify(folder: Path) -> dict[str, Any]:
    """Score the golden samples in a clean process that cannot import this package.

    Returns:
        The measurements (see docs/bundle.md): differences of scores, labels and threshold, the handling of a corrupt image
        and of one of another size, latency in milliseconds, throughput at batch 32 in images per second, peak memory in
        MiB, and the same for each LiteRT file.

    Raises:
        ExportDiffers: the model cannot be loaded, its scores, labels or threshold differ from the recorded ones, it scores
            a file that is not an image, or an image of another size than its patches.
        UnsafeModelFile: a model's file holds what this program's exports do not hold; it was not loaded.
    """
    require_safe(folder)
    # -I: no PYTHONPATH and no current folder, so that only installed packages can be imported.
    script = Path(__file__).with_name("replay.py")
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(script), str(folder)], capture_output=True, text=True, timeout=600, check=False
        )
    except subprocess.TimeoutExpired:
        raise ExportDiffers("The exported model did not answer within 600 s in a clean process.") from None
    if done.returncode != 0:
        raise ExportDiffers(f"The exported model cannot be used in a clean process:\n{done.stderr[-2000:]}")
    measured: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    measured["lite"] = _with_record(folder, measured["lite"])
    found = differences(measured)
    if found:
        raise ExportDiffers(
            f"bundle.differs: predictions of the exported model differ from the trained model's: {'; '.join(found)}. "
            "Do not publish it. Train again; if it happens again, look for a change in TensorFlow or in the export."
        )
    return {**measured, "tolerance": TOLERANCE}


def differences(measured: Mapping[str, Any]) -> list[str]:
    """Return the failed checks of the verification as text; empty if all passed."""
    found = []
    # Written so that NaN fails.
    if not measured["max_difference"] <= TOLERANCE:
        found.append(f"scores differ by up to {measured['max_difference']:.6f} (at most {TOLERANCE})")
    if measured["labels_differ"]:
        found.append(f"{measured['labels_differ']} of {measured['golden']} labels differ")
    if not measured["threshold_difference"] <= TOLERANCE:
        found.append(f"its threshold is {measured['threshold_difference']:.6f} off {THRESHOLD}")
    if measured["foreign_modules"]:
        found.append(f"it needs {', '.join(measured['foreign_modules'])}")
    if measured["corrupt_image"] != "refused" or measured["no_image"] != "refused":
        found.append("it scores a truncated file or one that is not an image")
    if measured["odd_size_image"] != ("scored" if measured["patch"] is None else "refused"):
        found.append(f"an image of another size than its patches is {measured['odd_size_image']}")
    for name, lite in measured["lite"].items():
        if not lite["included"]:
            continue
        if lite["max_difference"] is None or not lite["max_difference"] <= LITE_TOLERANCE[name]:
            found.append(f"LiteRT {name}: scores differ by {lite['max_difference']} (at most {LITE_TOLERANCE[name]})")
        if lite["labels_differ"]:
            found.append(f"LiteRT {name}: {lite['labels_differ']} labels differ")
    return found


def _with_record(folder: Path, replayed: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Join the export's record of the LiteRT files with the measurements of those that exist."""
    path = folder / LITE_RECORD
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    unmeasured = {"max_difference": None, "labels_differ": None, "latency_ms": None}
    joined = {}
    for name in LITE_TOLERANCE:
        recorded = record.get(name, _NO_LITE)
        # An included file that is missing has no difference, which is never within tolerance.
        measured = {**unmeasured, **replayed.get(name, {})} if recorded["included"] else {"latency_ms": None}
        joined[name] = {**unmeasured, **recorded, **measured}
    return joined
