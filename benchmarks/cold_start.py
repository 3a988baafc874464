"""Process start-up time of each stage, in addition to its work: "Orchestration" in docs/speed.md.

    python benchmarks/cold_start.py STORE RUN_ID [--times 5]

RUN_ID is a finished run. Each stage is run again with the command of its task; it finds its result and returns it, so that only interpreter,
imports and store are timed. Prints Markdown: the median, and the import time of the main dependencies.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from steel_training.runs.result import RESULT, RUNS, STAGES
from steel_training.storage import open_storage

HEAVY = ("numpy", "pandas", "sklearn.ensemble", "great_expectations", "tensorflow, keras", "boto3")


def seconds(command: list[str], times: int) -> float:
    """Return the median of so many runs."""
    took = []
    for _ in range(times):
        started = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        took.append(time.monotonic() - started)
    return statistics.median(took)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store")
    parser.add_argument("run_id")
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    store = open_storage(options.store)
    print("| stage | s |\n|---|---|")
    for stage in STAGES[1:]:
        if store.exists(f"{RUNS}/{options.run_id}/{stage}/{RESULT}"):
            words = [stage, "--run-id", options.run_id, "--store", options.store]
            print(
                f"| {stage} | {seconds([sys.executable, '-m', 'steel_training', *words], options.times):.2f} |",
                flush=True,
            )
    print("\n| import | s |\n|---|---|")
    bare = seconds([sys.executable, "-c", ""], options.times)
    for names in HEAVY:
        print(
            f"| {names} | {seconds([sys.executable, '-c', f'import {names}'], options.times) - bare:.2f} |", flush=True
        )


if __name__ == "__main__":
    main()
