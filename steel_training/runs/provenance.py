"""Provenance of a result: code, packages and machine, for the lineage of a bundle."""

from __future__ import annotations

import hashlib
import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "pandas", "pillow", "great-expectations", "boto3")


@cache
def code_revision() -> str:
    """SHA-256 (first 16 hex digits) over the package's sources: it changes exactly when the code does.

    A commit id would not do: wheels have none, and a working tree can differ from its commit.
    """
    top = Path(__file__).parents[1]
    total = hashlib.sha256()
    for path in sorted(top.rglob("*.py")):
        total.update(path.relative_to(top).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:16]


def package_versions() -> dict[str, str]:
    """Versions of the packages that can change a result, and of Python."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, int | str]:
    """The machine that this process runs on: other cores add in another order, and sums differ in their last digits."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
    }
