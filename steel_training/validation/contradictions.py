"""Labels held against `defect_type`: which rows say two things at once, whatever their pixels show."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from steel_training.data.dataset import CLEAN, DEFECTIVE

# How people write "no defect" in a column of kinds, after `_plain`.
NO_DEFECT = frozenset(
    {
        "-",
        "0",
        "none",
        "nan",
        "na",
        "n/a",
        "null",
        "no",
        "false",
        "ok",
        "o.k.",
        "io",
        "i.o.",
        "good",
        "gut",
        "clean",
        "normal",
    }
    | {"background", "pass", "passed", "ohne", "no defect", "nodefect", "defect free", "defectfree", "non defective"}
    | {"without defect", "kein defekt"}
)


@dataclass(frozen=True)
class Contradictions:
    """Labels against kinds of defects.

    Attributes:
        found: what is wrong with each row; null where label and kind agree.
        typed: rows that name a kind of defect; without any there is nothing to hold labels against.
        typed_clean: of those, rows labelled clean.
        untyped_defective: rows labelled defective that name no kind.
    """

    found: pd.Series
    typed: int
    typed_clean: int
    untyped_defective: int

    @property
    def turned_round(self) -> bool:
        """Kinds stand at clean patches only."""
        return 0 < self.typed == self.typed_clean


def contradictions(label: pd.Series, defect_type: pd.Series) -> Contradictions:
    """Finds clean rows that name a kind of defect, and defective rows that name none although others do.

    A word such as "ok" or "none" is no kind. Neither is a word that every clean row has and no defective one, where all defective rows
    name kinds, several of them: then it is the site's own word for clean.

    Args:
        label: "0" and "1"; other texts are passed over.
        defect_type: text, null or blank where there is none.
    """
    text = defect_type.astype("string")
    text = text.where(text.str.strip() != "")
    kind = text.where(~_plain(text).isin(NO_DEFECT))
    clean, defective = label == str(CLEAN), label == str(DEFECTIVE)
    words, kinds = kind[clean].unique(), kind[defective]
    if len(words) == 1 and kinds.notna().all() and kinds.nunique() > 1 and words[0] not in set(kinds):
        kind = kind.mask(clean)
    typed_clean, untyped_defective = clean & kind.notna(), defective & kind.isna()
    if not kind.notna().any():
        untyped_defective &= False
    found = pd.Series(pd.NA, index=label.index, dtype="string")
    found = found.mask(typed_clean, "clean, and defect_type is " + text.fillna(""))
    found = found.mask(untyped_defective, "defective, and defect_type is " + text.fillna("empty"))
    return Contradictions(found, int(kind.notna().sum()), int(typed_clean.sum()), int(untyped_defective.sum()))


def _plain(text: pd.Series) -> pd.Series:
    return text.str.strip().str.lower().str.replace(r"[_\s-]+(?=\w)", " ", regex=True).str.strip()
