"""Whether the files of clean and defective patches were made in different ways."""

from __future__ import annotations

import pandas as pd

from steel_training.leakage.probe import Probe
from steel_training.leakage.separability import TooFewGroups, separability

CODE, LIMIT = "leak.file_metadata", 0.9
_FILE_PROPERTIES = ("format", "mode", "jpeg_tables", "packing", "width", "height")


def file_metadata(profile: pd.DataFrame) -> Probe:
    """Tries to tell the label by format, mode, JPEG tables, size in pixels, and bytes beyond what the pixels need.

    Plain size in bytes is no evidence: a defect makes a patch harder to pack. Bytes are held against our own file of the
    same pixels instead. Rates: `docs/leakage.md`.
    """
    files = profile[list(_FILE_PROPERTIES)]
    if not (files.astype("string").fillna("").nunique() > 1).any():
        return Probe(CODE, True, 0.5, LIMIT, "All files are of one kind.")
    try:
        told = separability(files, profile["label"].to_numpy(int), profile["group"].to_numpy(str), alone=True)
    except TooFewGroups as error:
        return Probe.unjudged(CODE, str(error))
    alone = {name: _kinds(profile, name) for name in ("format", "mode", "jpeg_tables") if profile[name].nunique() > 1}
    found = told.bound >= LIMIT
    return Probe(
        CODE,
        not found,
        told.bound,
        LIMIT,
        f"How the files were made tells the label with an AUC of {told.auc:.3f}, at least {told.bound:.3f} (limit {LIMIT})"
        + (
            ": clean and defective patches were stored in different ways, and a network can see that. "
            "Store all of them in one way, from the same kind of source."
            if found
            else "."
        ),
        {"auc": told.auc, "kinds": alone, "bytes beyond need (median)": _medians(profile, "packing")} if found else {},
    )


def _kinds(profile: pd.DataFrame, name: str) -> dict[str, dict[str, int]]:
    counts = pd.crosstab(profile[name].astype("string").fillna("none"), profile["label"].astype(int))
    top = counts.loc[counts.sum(axis=1).nlargest(5).index]
    return {str(kind): {f"label {label}": int(number) for label, number in row.items()} for kind, row in top.iterrows()}


def _medians(profile: pd.DataFrame, name: str) -> dict[str, float]:
    middle = profile.groupby("label")[name].median().dropna()
    return {f"label {label}": round(float(value), 3) for label, value in middle.items()}
