"""Classes of annotated regions: which are defects, and their numbers in masks."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from steel_training.data.defect_types import names_no_defect
from steel_training.errors import UsageError
from steel_training.ingest.problems import Problems, first_ten
from steel_training.ingest.regions import Region


class ClassUndefined(UsageError):
    """A class is one that the user did not name, or its name suggests that it is not a defect."""


class DefectClasses:
    """Which classes are defects, and which are undefined.

    Args:
        names: classes that are defects; where any is named, others are refused.
        clean_names: classes that are not defects.

    Raises:
        ClassUndefined: a class is in both, or a defect's name says "no defect".
    """

    def __init__(self, names: Collection[str], clean_names: Collection[str]) -> None:
        both = sorted(set(names) & set(clean_names))
        if both:
            raise ClassUndefined(f"{first_ten(both)} is in --names and in --clean-names; expected one of them.")
        for name in names:
            if names_no_defect(name):
                raise ClassUndefined(
                    f"--names has '{name}', which suggests that it is not a defect; use --clean-names {name}, or rename the class."
                )
        self.named: dict[int, str] = {}
        self._numbers: dict[str, int] = {}
        self._names, self._clean = frozenset(names), frozenset(clean_names)
        self._undefined: dict[str, list[str]] = {}

    def is_defect(self, name: str, where: str) -> bool:
        """Return whether a class is a defect, and notes one that is undefined.

        Args:
            name: of the class.
            where: the annotation that has it, for messages.
        """
        known = name in self._names or name in self._clean
        if not known and (self._names or names_no_defect(name)):
            found = self._undefined.setdefault(name, [])
            if where not in found[-1:]:
                found.append(where)
        return name not in self._clean

    def number(self, name: str) -> int:
        """Return the number of a class in masks, from 1."""
        number = self._numbers.setdefault(name, len(self._numbers) + 1)
        self.named[number] = name
        return number

    def mask(self, regions: Sequence[Region], shape: tuple[int, ...], where: str) -> np.ndarray:
        """Return the defects as a mask, int32 (height, width); smaller ones are drawn last, so that larger ones do not hide them."""
        mask = np.zeros(shape[:2], dtype=np.int32)
        defects = [region for region in regions if self.is_defect(region.name, where)]
        for region in sorted(defects, key=lambda region: region.area, reverse=True):
            height, width = region.pixels.shape
            window = mask[region.top : region.top + height, region.left : region.left + width]
            window[region.pixels] = self.number(region.name)
        return mask

    def judge(self, problems: Problems, noun: str) -> None:
        """Add the problems that show only in the classes of all annotations together.

        Args:
            problems: to add to.
            noun: what has a class, and where: 'of boxes in {} files'.
        """
        for name, where in self._undefined.items():
            if names_no_defect(name):
                why, otherwise = "does not sound like a defect", "or give the class another name"
            else:
                why, otherwise = "is not in --names", f"or name it: --names {','.join([*sorted(self._names), name])}"
            problems.add(
                ClassUndefined(
                    f"The class '{name}' {noun.format(f'{len(where):,}')} {why}: {first_ten(where)}. Use --clean-names "
                    f"{','.join([*sorted(self._clean), name])} where it is not a defect, {otherwise}."
                )
            )
