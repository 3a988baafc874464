"""Tests whether the files of clean and defective patches were encoded differently."""

from __future__ import annotations

import pandas as pd

from steel_training.leakage.probe import Probe
from steel_training.leakage.separability import TooFewGroups, separability

CODE, LIMIT = "leak.file_metadata", 0.9
_FILE_PROPERTIES = ("format", "mode", "jpeg_tables", "packing", "width", "height")


def file_metadata(profile: pd.DataFrame) -> Probe:
    """Try to predict the label from format, mode, JPEG tables, size in pixels, and relative file size.

    Plain file size is not evidence, since a defect makes a patch harder to compress. It is divided by that of a re-encoding of
    the same pixels. Rates: `docs/leakage.md`.
    """
    files = profile[list(_FILE_PROPERTIES)]
    if not (files.astype("string").fillna("").nunique() > 1).any():
        return Probe(CODE, True, 0.5, LIMIT, "All files are of one kind.")
    try:
        result = separability(files, profile["label"].to_numpy(int), profile["group"].to_numpy(str), alone=True)
    except TooFewGroups as error:
        return Probe.unjudged(CODE, str(error))
    alone = {name: _kinds(profile, name) for name in ("format", "mode", "jpeg_tables") if profile[name].nunique() > 1}
    found = result.bound >= LIMIT
    return Probe(
        CODE,
        not found,
        result.bound,
        LIMIT,
        f"How the files were encoded predicts the label with an AUC of {result.auc:.3f}, at least {result.bound:.3f} (limit {LIMIT})"
        + (
            ": clean and defective patches were stored differently, and a network can see that. "
            "Store all of them in the same way, from the same kind of source."
            if found
            else "."
        ),
        {"auc": result.auc, "kinds": alone, "bytes beyond need (median)": _medians(profile, "packing")}
        if found
        else {},
    )


def _kinds(profile: pd.DataFrame, name: str) -> dict[str, dict[str, int]]:
    counts = pd.crosstab(profile[name].astype("string").fillna("none"), profile["label"].astype(int))
    top = counts.loc[counts.sum(axis=1).nlargest(5).index]
    return {str(kind): {f"label {label}": int(number) for label, number in row.items()} for kind, row in top.iterrows()}


def _medians(profile: pd.DataFrame, name: str) -> dict[str, float]:
    middle = profile.groupby("label")[name].median().dropna()
    return {f"label {label}": round(float(value), 3) for label, value in middle.items()}
