"""Labels compared with `defect_type`: the rows whose two columns contradict each other."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from steel_training.data.dataset import CLEAN, DEFECTIVE
from steel_training.data.defect_types import names_no_defect


@dataclass(frozen=True)
class Contradictions:
    """Contradictions between labels and defect types.

    Attributes:
        found: what is wrong with each row; null where label and kind agree.
        typed: number of rows with a defect type; without any there is nothing to compare labels with.
        typed_clean: of those, number labelled clean.
        untyped_defective: number of rows labelled defective without a defect type.
    """

    found: pd.Series
    typed: int
    typed_clean: int
    untyped_defective: int

    @property
    def inverted(self) -> bool:
        """Whether only clean patches have a defect type."""
        return 0 < self.typed == self.typed_clean


def contradictions(label: pd.Series, defect_type: pd.Series) -> Contradictions:
    """Find clean rows with a defect type, and defective rows without one although others have one.

    A word such as "ok" or "none" is not a defect type. Neither is a word that every clean row has and no defective one, if all
    defective rows have types, and several of them: then it is the site's own word for clean.

    Args:
        label: "0" and "1"; other texts are ignored.
        defect_type: text, null or blank where there is none.
    """
    text = defect_type.astype("string")
    text = text.where(text.str.strip() != "")
    kind = text.where(~text.isin([word for word in text.dropna().unique() if names_no_defect(word)]))
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
