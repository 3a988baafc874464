"""Whether the manifest, or the names in it, tell the label."""

from __future__ import annotations

import pandas as pd

from steel_training.data.measurements import Measures
from steel_training.leakage.probe import Probe
from steel_training.leakage.separability import TooFewGroups, separability

COLUMN, NAME, LIMIT = "leak.manifest_column", "leak.name", 0.9

# Part of the contract: what they tell of the label, they may, or another probe asks.
_CONTRACT = {
    *("patch_id", "path", "label", "source_id", "group_id", "split", "x", "y", "defect_type", "part", "group"),
    "modified",
}
# A column that differs within so many photographs was written of the patch, not of how it was photographed.
_OF_PATCHES = 0.1
_DATES = 0.9


def manifest_columns(profile: pd.DataFrame) -> Probe:
    """Tries to tell the label by each further column of the manifest, such as `line` or `captured_at`.

    What is the same all over a photograph says how it was taken, and an alarm blocks. What differs within photographs, or is
    missing for one class, was written of the patch after it was judged, as `defect_type` is: that is told, and does not block.
    """
    columns = [str(name) for name in profile if name not in _CONTRACT and name not in Measures._fields]
    labels, groups = profile["label"].to_numpy(int), profile["group"].to_numpy(str)
    told = {}
    for name in columns:
        values = _as_values(profile[name])
        if values.nunique(dropna=False) < 2:
            continue
        try:
            told[name] = separability(values.to_frame(), labels, groups)
        except TooFewGroups as error:
            return Probe.unjudged(COLUMN, str(error))
    if not told:
        return Probe(COLUMN, True, 0.5, LIMIT, "The manifest has no further columns that vary.")
    telling = sorted((name for name in told if told[name].bound >= LIMIT), key=lambda name: -told[name].bound)
    taken = [name for name in telling if not _of_patches(profile, name)]
    worst = max(told, key=lambda name: told[name].bound)
    if not telling:
        message = f"No further column tells the label: the most is '{worst}', with an AUC of at least {told[worst].bound:.3f} (limit {LIMIT})."
        return Probe(COLUMN, True, told[worst].bound, LIMIT, message)
    named = (taken or telling)[0]
    message = f"The column '{named}' tells the label with an AUC of {told[named].auc:.3f}, at least {told[named].bound:.3f} (limit {LIMIT})"
    advice = (
        ": clean and defective patches come from different lines, days or cameras. Take both from the same ones."
        if taken
        else ". It seems to have been written of the patch after it was judged, so this only warns."
    )
    evidence = {
        "columns": {name: {"auc": round(told[name].auc, 4), "bound": round(told[name].bound, 4)} for name in telling}
    }
    return Probe(COLUMN, False, told[named].bound, LIMIT, message + advice, evidence, decisive=bool(taken))


def names(profile: pd.DataFrame) -> Probe:
    """Tries to tell the label by how patches and files are named. A network sees no names, so this only warns."""
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
        told = separability(patterns, profile["label"].to_numpy(int), profile["group"].to_numpy(str))
    except TooFewGroups as error:
        return Probe.unjudged(NAME, str(error))
    found = told.bound >= LIMIT
    message = f"File names tell the label with an AUC of {told.auc:.3f}, at least {told.bound:.3f} (limit {LIMIT})"
    advice = ". No network sees a name, but look whether clean and defective patches were made alike." if found else "."
    usual = (
        (patterns["folder"] + patterns["pattern"])
        .groupby(profile["label"].astype(int))
        .agg(lambda its: its.mode().iloc[0])
    )
    evidence = {"usual name": {f"label {label}": str(name) for label, name in usual.items()}} if found else {}
    return Probe(NAME, not found, told.bound, LIMIT, message + advice, evidence, decisive=False)


def _as_values(column: pd.Series) -> pd.Series:
    """Returns numbers and dates as float, anything else as text."""
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
