"""Memory that a step frees is kept for the next one."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Twenty steps that allocate and free three blocks of 48 MiB, from two threads as TensorFlow does; prints the page faults of the last ten.
STEPS = """
import resource
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from steel_training.training.memory import keep_freed_memory

if {kept}:
    assert keep_freed_memory()

def step(pool):
    blocks = list(pool.map(lambda _: np.ones(12 << 20, np.float32), range(3)))
    return sum(float(block[-1]) for block in blocks)

with ThreadPoolExecutor(2) as pool:
    for number in range(20):
        if number == 10:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        step(pool)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(*, kept: bool) -> int:
    steps = subprocess.run(
        [sys.executable, "-c", STEPS.format(kept=kept)], capture_output=True, text=True, check=True, timeout=600
    )
    return int(steps.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the parameters are glibc's")
def test_steps_after_the_first_get_their_memory_without_the_kernel() -> None:
    assert page_faults(kept=True) < page_faults(kept=False) / 10
