"""Prints the end of `.ci/run`: failures with their messages, the slowest tests, and the duration of each part.

Usage: python3 .ci/summary.py FOLDER, with pytest's JUnit files `PART.xml`, and `parts` with a line `PART SECONDS STATUS` for each part.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

FAILURE_LINES = 30
SLOWEST = 10


def failures(case: ET.Element) -> list[str]:
    """Return one line for each failure of a test: its place, and the first line of what was asserted or raised."""
    name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
    return [
        f"FAILED {name} - {(found.get('message') or 'no message').strip().splitlines()[0][:200]}"
        for found in case
        if found.tag in {"failure", "error"}
    ]


def main(folder: Path) -> None:
    """Print the summary of a run's reports."""
    cases: list[ET.Element] = []
    for report in sorted(folder.glob("*.xml")):
        cases += ET.parse(report).iter("testcase")
    failed = [line for case in cases for line in failures(case)]
    slowest = sorted(cases, key=lambda case: -float(case.get("time", 0)))[:SLOWEST]
    print("\n== slowest tests")
    for case in slowest:
        print(f"{float(case.get('time', 0)):7.1f} s  {case.get('classname')}::{case.get('name')}")
    print("\n== parts")
    for line in (folder / "parts").read_text().splitlines():
        name, seconds, status = line.split()
        print(f"{int(seconds):5d} s  {name}" + ("" if status == "0" else f"  FAILED (exit {status})"))
    if failed:
        print(f"\n== {len(failed)} failed")
        print("\n".join(failed[:FAILURE_LINES]))
        if len(failed) > FAILURE_LINES:
            print(f"... and {len(failed) - FAILURE_LINES} more")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
