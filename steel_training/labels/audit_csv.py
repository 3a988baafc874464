"""The table of an audit as a CSV file for a spreadsheet."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from steel_training.data.dataset import OutputExists

COLUMNS = ("patch_id", "label", "suggested", "quality", "score", "group", "split", "neighbours", "copy")
_FORMULA = r"^(?=[=+\-@\t\r])"


def write_audit_csv(path: Path, table: pd.DataFrame) -> None:
    """Write the rows in their order, whole or not at all.

    Text that a spreadsheet would run as a formula gets an apostrophe before it.

    Args:
        path: file to write; must not exist.
        table: of `LabelAudit`.

    Raises:
        OutputExists: the file exists.
    """
    require_new(path)
    written = table[list(COLUMNS)].copy()
    for name in ("patch_id", "group", "split"):
        written[name] = written[name].astype("string").str.replace(_FORMULA, "'", regex=True)
    for name in ("quality", "score", "neighbours"):
        written[name] = written[name].round(4)
    written["copy"] = written["copy"].astype(int)
    staged = path.with_name(f".{path.name}.part")
    try:
        written.to_csv(staged, index=False)
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


def require_new(path: Path) -> None:
    """Refuse a file that exists.

    Raises:
        OutputExists: it does.
    """
    if path.exists():
        raise OutputExists(f"{path} exists; nothing was written. Name a new file, or remove the old one first.")
