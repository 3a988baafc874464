"""How many labels of a run differ from those that the champion was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class LabelDifference:
    """The labels of a run beside those of the champion's run, on the patches that both have.

    Attributes:
        champion: its version.
        common: patches with the same id and the same pixels in both.
        to_defective: of these, clean for the champion and defective now.
        to_clean: defective for the champion and clean now.
        in_test: of the two together, those in the test split of this run.
        problem: why nothing of this is known; empty where it is.
    """

    champion: str
    common: int = 0
    to_defective: int = 0
    to_clean: int = 0
    in_test: int = 0
    problem: str = ""

    @property
    def sentence(self) -> str:
        """How many labels differ, or why it is not known."""
        if self.problem:
            return f"How many labels differ from those of champion {self.champion} is not known: {self.problem}"
        if not self.common:
            return f"No patch of this run was in the data of champion {self.champion}, so that no label can differ."
        differ = self.to_defective + self.to_clean
        said = (
            f"{differ:,} of {self.common:,} labels differ from those of champion {self.champion}"
            if differ
            else f"None of {self.common:,} labels differs from those of champion {self.champion}"
        )
        turned = (
            f": {self.to_defective:,} now defective, {self.to_clean:,} now clean, and {self.in_test:,} of them in the test split"
            if differ
            else ""
        )
        return f"{said} (patches of the same id and pixels){turned}. Champion and challenger are judged by the labels of this run."

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LabelDifference:
        """Read the fields back."""
        measured = {each.name: values[each.name] for each in fields(cls) if each.name != "problem"}
        return cls(**measured, problem=values.get("problem", ""))


def label_difference(champion: str, ours: pd.DataFrame, theirs: pd.DataFrame, *, tested: str) -> LabelDifference:
    """Compare the labels of two runs.

    Args:
        champion: version that the other run published.
        ours: profile of this run, one row per patch: `patch_id`, `pixel_hash`, `label`, and the split in `part`.
        theirs: the same of the other run.
        tested: name of the test split.
    """
    key = ["patch_id", "pixel_hash"]
    mine, others = (
        table[[*key, *columns]].dropna().astype({"patch_id": str, "pixel_hash": str}).drop_duplicates(key)
        for table, columns in ((ours, ("label", "part")), (theirs, ("label",)))
    )
    both = mine.merge(others, on=key, suffixes=("", "_before"))
    now, before = both["label"].astype(int), both["label_before"].astype(int)
    return LabelDifference(
        champion,
        common=len(both),
        to_defective=int((now > before).sum()),
        to_clean=int((now < before).sum()),
        in_test=int(((now != before) & (both["part"] == tested)).sum()),
    )
