"""The table of an audit as a CSV file for a spreadsheet; and beside it, for the review, what was audited and what looks alike."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from steel_training.data.dataset import OutputExists
from steel_training.data.tables import read_table
from steel_training.errors import UsageError
from steel_training.labels.neighbours import Nearest
from steel_training.storage import schema

COLUMNS = ("patch_id", "label", "suggested", "quality", "score", "group", "split", "neighbours", "copy")
_FORMULA = r"^(?=[=+\-@\t\r])"
_NEEDED = ("patch_id", "label", "suggested", "quality", "score", "split")


class AuditUnreadable(UsageError):
    """The file of an audit does not exist, or is none."""


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


def read_audit_csv(path: Path, patches: Collection[str]) -> pd.DataFrame:
    """Return the rows of a file that `write_audit_csv` wrote, and that a spreadsheet may have saved again.

    Args:
        path: of the file.
        patches: ids in the dataset, which say whether an apostrophe before one is its own.

    Raises:
        AuditUnreadable: there is no such file, a column is missing, or a value is none.
    """
    try:
        table = _table_of(path.read_bytes())
    except FileNotFoundError:
        raise AuditUnreadable(
            f"{path} does not exist; write it first: steel-training labels audit DATASET --out {path}"
        ) from None
    except (OSError, ValueError) as error:
        raise AuditUnreadable(f"{path} is no file of 'labels audit': {error}. Run the audit again.") from None
    known = set(patches)
    table["patch_id"] = [
        name[1:] if name not in known and name.startswith("'") else name for name in table["patch_id"].astype(str)
    ]
    return table


def _table_of(data: bytes) -> pd.DataFrame:
    """Return the rows with numbers as numbers.

    Raises:
        ValueError: a column is missing, or a value is none.
    """
    table = read_table(data, COLUMNS, dtype={"patch_id": "string", "split": "string"}, keep_default_na=False)
    missing = [name for name in _NEEDED if name not in table]
    if missing:
        raise ValueError(f"it has no column {', '.join(missing)}")
    table = table.astype({"label": int, "suggested": int, "quality": float, "score": float})
    if not table[["label", "suggested"]].isin([0, 1]).to_numpy().all():
        raise ValueError("a label is neither 0 nor 1")
    return table


def companion(path: Path) -> Path:
    """Return the file beside a CSV file that `labels review` reads."""
    return path.with_suffix(".review.json")


def write_companion(path: Path, fingerprint: str, nearest: Mapping[str, Nearest]) -> None:
    """Write the fingerprint of what was audited, and the nearest patches of the worst labels, beside the CSV file `path`."""
    record = {
        schema.KEY: schema.SCHEMA,
        "fingerprint": fingerprint,
        "nearest": {name: asdict(each) for name, each in nearest.items()},
    }
    companion(path).write_text(json.dumps(record), encoding="utf-8")


def read_companion(path: Path) -> tuple[str, dict[str, Nearest]] | None:
    """Return what `write_companion` wrote beside a CSV file; `None` if there is nothing.

    Raises:
        AuditUnreadable: it is damaged.
        WrittenByNewer: a later version of this program wrote it.
    """
    file = companion(path)
    if not file.is_file():
        return None
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        schema.readable(record, str(file))
        nearest = {
            name: Nearest(tuple(each["clean"]), tuple(each["defective"])) for name, each in record["nearest"].items()
        }
        return str(record["fingerprint"]), nearest
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AuditUnreadable(
            f"{file} is damaged ({error}); run the audit again, or remove the file to review without neighbours."
        ) from None
