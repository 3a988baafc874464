"""What the values of masks mean: named, clean, ignored, or undefined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import numpy as np

from steel_training.data.defect_types import names_no_defect
from steel_training.errors import UsageError
from steel_training.ingest.problems import Problems, first_ten
from steel_training.ingest.record import IngestRecord
from steel_training.ingest.tiling import IGNORED

# Stands for 0 where 0 is a defect: the cutter takes 0 as clean.
_ZERO = 1 << 16
# Above this share of marked pixels masks look inverted: steel is mostly clean.
_MOST_MARKED = 0.7
# More values than that, unnamed, are shades of grey rather than classes.
_MOST_CLASSES = 16
_WHITE = 255


class MaskInvalid(UsageError):
    """A mask does not hold one class number per pixel, or holds an undefined value."""


class MaskValuesInvalid(UsageError):
    """The options for the meaning of mask values contradict each other."""


class MaskValues:
    """Reads masks by the user's meaning of their values, and records which values occur.

    Args:
        names: names of the values that are defects; where any is named, other values are refused.
        clean: values that are clean; `None` is 0, as long as the masks do not look inverted.
        ignored: values that are neither.

    Raises:
        MaskValuesInvalid: a value has two meanings, or a name that says "no defect".
    """

    def __init__(self, names: Mapping[int, str], clean: Collection[int] | None, ignored: Collection[int]) -> None:
        self._names, self._clean, self._ignored = dict(names), frozenset(clean or {0}), frozenset(ignored)
        self._assumed = clean is None
        self._pixels: Counter[int] = Counter()
        self._where: dict[int, list[str]] = {}
        if self._assumed:
            self._clean -= self._ignored
        twice = sorted({*self._names} & {*self._clean, *self._ignored} | self._clean & self._ignored)
        if twice:
            raise MaskValuesInvalid(
                f"Mask value {first_ten(twice)} has two meanings in --names, --clean-values and --ignore-values; expected one."
            )
        for value, name in self._names.items():
            if names_no_defect(name):
                raise MaskValuesInvalid(
                    f"--names {value}={name} names a value that is not a defect; use --clean-values {first_ten([*sorted(self._clean), value])} instead."
                )

    @property
    def class_names(self) -> Mapping[int, str]:
        """Names of the values that `read` returns."""
        return {**self._names, _ZERO: "value 0"}

    def read(self, mask: np.ndarray, name: str) -> np.ndarray:
        """Return a mask in the cutter's values: 0 clean, above 0 a class, `IGNORED` neither.

        Args:
            mask: int32, (height, width), as stored.
            name: of the mask, for messages.

        Raises:
            MaskInvalid: a negative number, or one above 65,535.
        """
        if mask.min() < 0 or mask.max() >= _ZERO:
            raise MaskInvalid(
                f"The mask {name} holds numbers from {mask.min()} to {mask.max()}; expected 0 to {_ZERO - 1:,}."
            )
        counts = np.bincount(mask.ravel())
        present = np.flatnonzero(counts).tolist()
        for value in present:
            self._pixels[value] += int(counts[value])
            self._where.setdefault(value, []).append(name)
        meaning = np.arange(len(counts), dtype=np.int32)
        meaning[0] = _ZERO
        for values, code in ((self._clean, 0), (self._ignored, IGNORED)):
            meaning[[value for value in present if value in values]] = code
        return np.take(meaning, mask)

    def judge(self, problems: Problems) -> None:
        """Add the problems that show only in the values of all masks together."""
        defects = sorted(set(self._pixels) - self._clean - self._ignored)
        if self._names:
            for value in defects:
                if value not in self._names:
                    problems.add(
                        MaskInvalid(
                            f"Mask value {value} is in {len(self._where[value]):,} masks and --names does not name it: "
                            f"{first_ten(self._where[value])}. Name it, or use --ignore-values {value} (drops patches that it leaves undecided) or "
                            f"--clean-values {first_ten([*sorted(self._clean), value]).replace(' ', '')}."
                        )
                    )
        elif len(defects) > _MOST_CLASSES:
            problems.add(
                MaskInvalid(
                    f"The masks hold {len(defects):,} values besides clean ones ({first_ten(defects)}): these look like shades of grey, not "
                    "classes. Save one number per class, without smoothing; or name every class: --names 1=scratch,…."
                )
            )
        elif len(defects) > 1 and _WHITE in defects:
            problems.add(
                MaskInvalid(
                    f"Mask value {_WHITE} occurs beside {first_ten(value for value in defects if value != _WHITE)}, in "
                    f"{len(self._where[_WHITE]):,} masks: {first_ten(self._where[_WHITE])}. Is it a class, or not annotated? Use "
                    f"--ignore-values {_WHITE}, or name every class: --names {','.join(f'{value}=NAME' for value in defects)}."
                )
            )
        marked, total = sum(self._pixels[value] for value in defects), self._pixels.total()
        if self._assumed and total and marked > _MOST_MARKED * total:
            most = max(defects, key=self._pixels.__getitem__)
            problems.add(
                MaskInvalid(
                    f"The masks mark {marked / total:.0%} of all pixels as defects, value {most} alone {self._pixels[most] / total:.0%}: they look "
                    f"inverted. Use --clean-values {most} if that value is clean steel, or --clean-values 0 if the masks are correct."
                )
            )

    def restore(self, record: IngestRecord) -> None:
        """Restore the number 0 of a defect class that `read` renumbered."""
        if _ZERO in record.by_value:
            record.by_value[0] = record.by_value.pop(_ZERO)
