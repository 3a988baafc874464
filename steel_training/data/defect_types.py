"""Words in the place of a defect type that mean "no defect"."""

from __future__ import annotations

import re

_NO_DEFECT = frozenset(
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


def names_no_defect(word: str) -> bool:
    """Return whether a word in a list of defects means that there is none: `ok`, `No_Defect`, `none`, `background`, or nothing at all."""
    plain = re.sub(r"[_\s-]+(?=\w)", " ", word.strip().lower()).strip()
    return not plain or plain in _NO_DEFECT
