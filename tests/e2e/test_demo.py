"""`make demo` as a newcomer runs it: a real Airflow, real images, a verdict in minutes, and again at once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


def demo(checkout: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(
        [sys.executable, str(checkout / "scripts" / "demo.py")],
        env=environment, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_demo_reaches_a_verdict_and_can_be_repeated(checkout: Path) -> None:
    for _ in range(2):
        said = demo(checkout)
        assert re.search(r"\[\d+/\d+\] check_baseline", said)
        assert re.search(r"train_head  epoch 1/\d+", said)
        assert re.search(r"profile_patches  [\d,]+/[\d,]+ patches", said)
        assert re.search(r"^(PUBLISHED|REJECTED)", said, flags=re.MULTILINE)
        assert not re.search("absl|trackable_obj|fully_quantize", said), "noise of libraries is not for a newcomer"
        report = re.search(r"report: (\S+report\.html)", said)
        assert report is not None
        assert Path(report[1]).stat().st_size > 50_000
    assert len(list((checkout / "var" / "demo" / "store" / "runs").iterdir())) == 2
