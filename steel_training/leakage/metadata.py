"""Tests whether columns of the manifest, or file names, predict the label."""

from __future__ import annotations

import pandas as pd

from steel_training.data.columns import further_columns
from steel_training.data.measurements import Measures
from steel_training.leakage.probe import Probe
from steel_training.leakage.separability import TooFewGroups, separability

COLUMN, NAME, LIMIT = "leak.manifest_column", "leak.name", 0.9

# A column that varies within this share of the source images describes the patch, not the acquisition.
_OF_PATCHES = 0.1
_DATES = 0.9


def manifest_columns(profile: pd.DataFrame) -> Probe:
    """Try to predict the label from each further column of the manifest, such as `line` or `captured_at`.

    A column that is constant within source images describes the acquisition, and an alarm blocks. One that varies within
    source images, or is missing for one class, was recorded per patch after inspection, as `defect_type` is: it only warns.
    """
    # Other probes test what was measured on the pixels and when the file was modified.
    columns = [name for name in further_columns(profile) if name != "modified" and name not in Measures._fields]
    labels, groups = profile["label"].to_numpy(int), profile["group"].to_numpy(str)
    results = {}
    for name in columns:
        values = _as_values(profile[name])
        if values.nunique(dropna=False) < 2:
            continue
        try:
            results[name] = separability(values.to_frame(), labels, groups)
        except TooFewGroups as error:
            return Probe.unjudged(COLUMN, str(error))
    if not results:
        return Probe(COLUMN, True, 0.5, LIMIT, "The manifest has no further columns that vary.")
    predictive = sorted(
        (name for name in results if results[name].bound >= LIMIT), key=lambda name: -results[name].bound
    )
    acquisition = [name for name in predictive if not _of_patches(profile, name)]
    worst = max(results, key=lambda name: results[name].bound)
    if not predictive:
        message = f"No further column predicts the label: the strongest is '{worst}', with an AUC of at least {results[worst].bound:.3f} (limit {LIMIT})."
        return Probe(COLUMN, True, results[worst].bound, LIMIT, message)
    strongest = (acquisition or predictive)[0]
    message = f"The column '{strongest}' predicts the label with an AUC of {results[strongest].auc:.3f}, at least {results[strongest].bound:.3f} (limit {LIMIT})"
    advice = (
        ": clean and defective patches come from different lines, days or cameras. Take both from the same ones."
        if acquisition
        else ". It seems to have been recorded per patch after inspection, so this only warns."
    )
    evidence = {
        "columns": {
            name: {"auc": round(results[name].auc, 4), "bound": round(results[name].bound, 4)} for name in predictive
        }
    }
    return Probe(COLUMN, False, results[strongest].bound, LIMIT, message + advice, evidence, decisive=bool(acquisition))


def names(profile: pd.DataFrame) -> Probe:
    """Try to predict the label from folder and file names; only warns, since a network sees no names."""
    path = profile["path"].astype("string").fillna("")
    patterns = pd.DataFrame(
        {
            "folder": path.str.replace(r"[^/]*$", "", regex=True),
            "pattern": path.str.replace(r"^.*/", "", regex=True).str.replace(r"[0-9]+", "#", regex=True),
            "suffix": path.str.replace(r"^.*\.", "", regex=True),
            "length": path.str.len().astype("float64"),
        }
    )
    try:
        result = separability(patterns, profile["label"].to_numpy(int), profile["group"].to_numpy(str))
    except TooFewGroups as error:
        return Probe.unjudged(NAME, str(error))
    found = result.bound >= LIMIT
    message = (
        f"File names predict the label with an AUC of {result.auc:.3f}, at least {result.bound:.3f} (limit {LIMIT})"
    )
    advice = (
        ". A network does not see names, but check whether clean and defective patches were made in the same way."
        if found
        else "."
    )
    usual = (
        (patterns["folder"] + patterns["pattern"])
        .groupby(profile["label"].astype(int))
        .agg(lambda its: its.mode().iloc[0])
    )
    evidence = {"usual name": {f"label {label}": str(name) for label, name in usual.items()}} if found else {}
    return Probe(NAME, not found, result.bound, LIMIT, message + advice, evidence, decisive=False)


def _as_values(column: pd.Series) -> pd.Series:
    """Return numbers and dates as float, anything else as text."""
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        return column.astype("float64")
    dates = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
    if dates.notna().sum() >= _DATES * max(column.notna().sum(), 1) and dates.notna().any():
        return (dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
    return column.astype("string").fillna("")


def _of_patches(profile: pd.DataFrame, name: str) -> bool:
    values = profile[name].astype("string").fillna("").str.strip()
    sources = values.groupby(profile["source_id"].astype("string").fillna(""))
    several = sources.size() > 1
    if several.any() and (sources.nunique()[several] > 1).mean() > _OF_PATCHES:
        return True
    missing = (values == "").groupby(profile["label"].astype(int)).mean()
    return bool(missing.max() > 1 - _OF_PATCHES and missing.min() < _OF_PATCHES)
