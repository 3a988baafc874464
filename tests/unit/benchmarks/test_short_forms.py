"""Every benchmark of speed runs, in its shortest form, and prints a table. That it runs, not how fast."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

SHORT = {
    "training_speed.py": "--seeds 1 --epochs 1 --coils 6 --size 32 --views 1",
    "profiling_speed.py": "--patches 200",
    "inference_engines.py": "--size 32 --patches 64 --seconds 0.1",
    "packed_speed.py": "--patches 200 --delay 0",
    "scale.py": "--patches 400 --side 32 --epochs 1 --stages profile_patches validate_patches",
    "leak_speed.py": "300 --planted 5",
    "manifest_scale.py": "--rows 4000",
    "label_audit.py": "--speed 400 500",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_it_runs_and_prints_a_table(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / name), *SHORT[name].split()],
        capture_output=True, text=True, check=False, timeout=500, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "STEEL_TRAINING_SCRATCH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(rows) >= 3, done.stdout
    assert all(row.count("|") == rows[0].count("|") for row in rows[:3])
