"""Prints the end of `.ci/run`: failures with their messages, the slowest tests, and the duration of each part.

Usage: python3 .ci/summary.py FOLDER, with pytest's JUnit files `PART.xml`, and `parts` with a line `PART SECONDS STATUS` for each part.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

FAILURE_LINES = 30
WIDTH = 200
SLOWEST = 10


def failures(case: ET.Element) -> list[str]:
    """Return one line for each failure of a test: its place, and what was asserted or raised."""
    name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
    return [
        f"FAILED {name} - {cause(found.get('message') or 'no message')}"
        for found in case
        if found.tag in {"failure", "error"}
    ]


def cause(message: str) -> str:
    """Return the lines of a message that say what failed: the first, and the condition of an `assert` that explains itself.

    Where there is none, the last line: of a service that did not start, or of a command that failed, it is the end of the log.
    """
    first, *rest = [line.strip() for line in message.splitlines() if line.strip()] or ["no message"]
    if not rest or re.match(r"(AssertionError: )?assert ", first):
        return first[:WIDTH]
    decisive = next((line for line in rest if line.startswith("assert ")), rest[-1])
    return f"{first[:WIDTH]} … {decisive[:WIDTH]}"


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
