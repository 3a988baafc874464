"""The tables that the expectations are judged on, and what the messages say of the dataset as a whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from steel_training.data.dataset import CLEAN, DEFECTIVE
from steel_training.data.drift import WHOLE, Comparison
from steel_training.data.images import GREY_AND_RGB
from steel_training.data.measurements import LEAVES_DATASET
from steel_training.data.splits import SPLITS
from steel_training.validation.contradictions import Contradictions, contradictions

CLASS_TEXT = {str(CLEAN): "clean", str(DEFECTIVE): "defective"}


@dataclass(frozen=True)
class Facts:
    """The dataset as a whole, for the targets and the messages."""

    patches: int
    clean: int
    defective: int
    size: str
    mode: str
    format: str
    straddling: str
    split_problem: str | None
    drift: Comparison
    kinds: Contradictions | None

    @property
    def ratio(self) -> float:
        """Majority to minority; infinite where a class is missing."""
        few, many = sorted((self.clean, self.defective))
        return many / few if few else float("inf")

    @property
    def rarer(self) -> str:
        """Name of the class with fewer patches."""
        return "clean" if self.clean < self.defective else "defective"

    @property
    def contradiction_advice(self) -> str:
        """What to do where labels and `defect_type` contradict each other."""
        if self.kinds is not None and self.kinds.inverted:
            return (
                "Only clean patches have a defect type: the labels look inverted. 0 is clean and 1 is defective; "
                "write 1 for each patch that shows a defect"
            )
        return (
            "Correct label (0 clean, 1 defective) or defect_type: leave it empty for clean patches, and fill it in for defective ones, "
            "with 'unknown' if need be"
        )

    @property
    def champion(self) -> str:
        """Version of the champion; empty before the first."""
        return self.drift.champion or ""

    @property
    def most_drift(self) -> float:
        """The highest population stability index that chance does not explain."""
        return max((found.beyond_chance for found in self.drift.properties), default=0.0)


@dataclass(frozen=True)
class Tables:
    """One row per patch, one per class and split, one per compared property. `row` names the row in messages."""

    patches: pd.DataFrame
    splits: pd.DataFrame
    drift: pd.DataFrame
    facts: Facts


def tables_of(profile: pd.DataFrame, *, min_contrast: float, split_problem: str | None, drift: Comparison) -> Tables:
    """Derive the tables; a column that the profile lacks is missing here too.

    Columns such as `decode_error` are null for valid rows, and the expectation is that all are null: Great
    Expectations then counts and lists exactly the offending rows, with what is wrong with each.
    """
    profile = profile.reset_index(drop=True)
    table = pd.DataFrame(index=profile.index)
    for column in ("patch_id", "path", "source_id", "decode_error", "mode", "format"):
        if column in profile:
            table[column] = _text(profile[column])
    table.insert(0, "row", _row_names(table))
    for column in ("brightness", "contrast"):
        if column in profile:
            table[column] = pd.to_numeric(profile[column], errors="coerce").astype("float64")
    if "label" in profile:
        table["label"] = _label_text(profile["label"])
        table["defective"] = table["label"].map({"0": 0.0, "1": 1.0}).astype("float64")
    kinds = None
    if "label" in profile and "defect_type" in profile:
        kinds = contradictions(table["label"], profile["defect_type"])
        table["contradiction"] = kinds.found
    if "path_problem" in profile:
        problem = _text(profile["path_problem"])
        table["leaves_dataset"] = table.get("path", problem).where(problem == LEAVES_DATASET).astype("string")
        table["not_read"] = problem.where(problem != LEAVES_DATASET)
    if {"width", "height"} <= set(profile):
        table["size"] = profile["width"].astype("string") + "×" + profile["height"].astype("string")
    if "mode" in table:
        # A mode that is not allowed at all is named by its own expectation, not by this one too.
        table["grey_or_rgb"] = table["mode"].where(table["mode"].isin(GREY_AND_RGB))
    if "part" in profile:
        table["part"] = profile["part"].astype("string").fillna("")
        table["splits_of_group"] = _splits_of_group(profile, table["part"])
    if {"pixel_hash", "contrast"} <= set(profile) and {"part", "label"} <= set(table):
        blank = table["contrast"] < min_contrast
        elsewhere, beside = _twins(profile["pixel_hash"].mask(blank), table)
        table["twin_elsewhere"], table["twin_beside"] = elsewhere, beside
    return Tables(table, _parts(table), _drifts(drift), _facts(profile, table, split_problem, drift, kinds))


def _facts(
    profile: pd.DataFrame,
    table: pd.DataFrame,
    split_problem: str | None,
    drift: Comparison,
    kinds: Contradictions | None,
) -> Facts:
    label = table["label"] if "label" in table else pd.Series(dtype="string")
    return Facts(
        patches=len(table),
        clean=int((label == str(CLEAN)).sum()),
        defective=int((label == str(DEFECTIVE)).sum()),
        size=_most_common(table, "size"),
        mode=_most_common(table, "grey_or_rgb"),
        format=_most_common(table, "format"),
        straddling=_straddling(profile, table),
        split_problem=split_problem,
        drift=drift,
        kinds=kinds,
    )


def _text(values: pd.Series) -> pd.Series:
    """Values as strings, blank ones as null."""
    text = values.astype("string")
    return text.where(text.str.strip() != "")


def _row_names(table: pd.DataFrame) -> pd.Series:
    numbers = pd.Series([f"row {number}" for number in range(1, len(table) + 1)], index=table.index, dtype="string")
    return table["patch_id"].fillna(numbers) if "patch_id" in table else numbers


def _label_text(labels: pd.Series) -> pd.Series:
    """Labels as people write them: 1, 1.0 and True are "1"; null is "missing", so that it is judged too."""
    if pd.api.types.is_bool_dtype(labels):
        labels = labels.astype("Int64")
    text = labels.astype("string").str.strip().str.replace(r"\.0+$", "", regex=True)
    return text.where(text != "").fillna("missing")


def _splits_of_group(profile: pd.DataFrame, part: pd.Series) -> pd.Series:
    """Return the number of splits that the patch's group is in, or its source image if that is more."""
    counts = [
        part.groupby(profile[column].astype("string")).transform("nunique").astype("float64")
        for column in ("group", "source_id")
        if column in profile
    ]
    if not counts:
        return pd.Series(np.nan, index=part.index)
    return pd.concat(counts, axis=1).max(axis=1)


def _straddling(profile: pd.DataFrame, table: pd.DataFrame) -> str:
    """Return the names of the first groups in more than one split, and the number of further ones."""
    column = "group" if "group" in profile else "source_id"
    if column not in profile or "splits_of_group" not in table:
        return ""
    names = profile[column].astype("string")[table["splits_of_group"] > 1].drop_duplicates().dropna()
    shown = ", ".join(names.head(5))
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5:,} more"


def _twins(pixel_hash: pd.Series, table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return for each patch one with the same pixels: in another split or class, else in the same; null where there is none.

    The caller leaves out blank patches, which are reported as blank.
    """
    names, splits, labels = table["row"].tolist(), table["part"].tolist(), table["label"].tolist()
    elsewhere: list[str | None] = [None] * len(table)
    beside = elsewhere.copy()
    clusters: dict[str, list[int]] = {}
    hashes = pixel_hash.tolist()
    for row in np.flatnonzero(pixel_hash.duplicated(keep=False) & pixel_hash.notna()).tolist():
        clusters.setdefault(hashes[row], []).append(row)
    for rows in clusters.values():
        first = {(splits[row], labels[row]): row for row in reversed(rows)}
        for row in rows:
            other = next((twin for home, twin in first.items() if home != (splits[row], labels[row])), None)
            if other is None:
                beside[row] = f"same pixels as {names[rows[1] if row == rows[0] else rows[0]]}"
            else:
                kind = CLASS_TEXT.get(labels[other], f"label {labels[other]}")
                elsewhere[row] = f"same pixels as {names[other]}, {kind}" + (
                    f" in {splits[other]}" if splits[other] else ""
                )
    return (
        pd.Series(elsewhere, index=table.index, dtype="string"),
        pd.Series(beside, index=table.index, dtype="string"),
    )


def _parts(table: pd.DataFrame) -> pd.DataFrame:
    rows = [
        {
            "row": f"{name} in {part}",
            "patches": int(((table["part"] == part) & (table["label"] == label)).sum()),
        }
        for part in SPLITS
        for label, name in CLASS_TEXT.items()
        if {"part", "label"} <= set(table)
    ]
    return pd.DataFrame(rows, columns=["row", "patches"])


def _drifts(drift: Comparison) -> pd.DataFrame:
    rows = [
        {"row": found.name if found.part == WHOLE else f"{found.name} in {found.part}", "drift": found.beyond_chance}
        for found in sorted(drift.properties, key=lambda found: -found.beyond_chance)
    ]
    return pd.DataFrame(rows, columns=["row", "drift"])


def _most_common(table: pd.DataFrame, column: str) -> str:
    counts = table[column].value_counts() if column in table else pd.Series(dtype="int64")
    return str(counts.index[0]) if len(counts) else ""
