"""The lines of YOLO's text files: a box, a polygon, or a box with key points, which looks like a polygon where they have two numbers each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from steel_training.ingest import regions
from steel_training.ingest.annotations import AnnotationInvalid
from steel_training.ingest.problems import Problems, first_ten
from steel_training.ingest.regions import Region, RegionInvalid

# What a line of more than five numbers is, by YOLO's own names; `auto` refuses where a file does not say.
Task = Literal["auto", "segment", "pose"]

_VISIBILITY = frozenset({0.0, 1.0, 2.0})
# Annotators place key points a little outside their box.
_SLACK = 0.1
_DECIDE = (
    "Say what they are: --task pose takes the box and leaves the key points out, --task segment takes all numbers as a polygon; a data.yaml with "
    "kpt_shape, given as --classes, says so too"
)


@dataclass
class YoloLines:
    """Reads lines, and remembers those that could be of either kind.

    Attributes:
        names: of the classes, by number.
        classes: where they come from, for messages.
        key_points: (number, numbers each) of the key points, from `kpt_shape`; `None` where nothing says that there are any.
        task: what lines of more than five numbers are.
    """

    names: Mapping[int, str]
    classes: str
    key_points: tuple[int, int] | None = None
    task: Task = "auto"
    _lengths: Counter[int] = field(default_factory=Counter)
    _polygons: int = 0

    def region(self, line: str, shape: tuple[int, ...]) -> Region | None:
        """Return what a line marks; `None` for an empty one.

        Args:
            line: of a text file.
            shape: (height, width) of the image.

        Raises:
            RegionInvalid: it is neither a box nor a polygon, nor a box with key points where those are expected.
        """
        words = line.split()
        if not words:
            return None
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            raise RegionInvalid(f"{line[:40]!r} holds more than numbers") from None
        if not all(map(math.isfinite, numbers)) or not numbers[0].is_integer():
            raise RegionInvalid(f"{line[:40]!r} does not begin with the number of a class, or holds no finite numbers")
        name = self.names.get(int(numbers[0]))
        if name is None:
            raise RegionInvalid(
                f"class {words[0]} is not in {self.classes}, which names {first_ten(sorted(self.names)) or 'none'}"
            )
        values = numbers[1:]
        if len(values) > 4 and (self.task == "pose" or (self.task == "auto" and self.key_points)):
            values = self._box_of_pose(values)
        elif len(values) > 4 and self.task == "auto" and with_visibility(values) and 2.0 in values[6::3]:
            raise RegionInvalid(
                f"it is a box with {_count(values, 3)} of x, y and visibility; key points have no area. {_DECIDE}"
            )
        if any(not -0.01 <= value <= 1.01 for value in values):
            raise RegionInvalid(
                f"{line[:40]!r} holds numbers outside 0 to 1; expected shares of the image's sides, not pixels"
            )
        return self._box(name, values, shape) if len(values) == 4 else self._polygon(name, values, shape)

    def judge(self, problems: Problems) -> None:
        """Add a problem if every long line that was read could be a box with key points as well as a polygon.

        Polygons differ in their number of corners, and most of them do not begin with something that is a box around all other corners;
        key points are the same number in every line, and inside their box.
        """
        if self.task != "auto" or self._polygons or len(self._lengths) != 1:
            return
        ((length, lines),) = self._lengths.items()
        as_points = " or ".join(
            f"{(length - 4) // each} of {each} numbers" for each in (2, 3) if (length - 4) % each == 0
        )
        problems.add(
            AnnotationInvalid(
                f"{lines:,} line{'s have' if lines > 1 else ' has'} more than five numbers, always {length + 1}, and could be a polygon or a box with "
                f"key points inside it ({as_points}). {_DECIDE}."
            )
        )

    def _box_of_pose(self, values: Sequence[float]) -> list[float]:
        """Return the box of a box with key points, which have no area."""
        points = len(values) - 4
        if self.key_points and points != self.key_points[0] * self.key_points[1]:
            number, each = self.key_points
            raise RegionInvalid(
                f"it has {len(values) + 1} numbers; a box with {number} key points of {each} numbers (kpt_shape) has {5 + number * each}"
            )
        if points % 2 and points % 3:
            raise RegionInvalid(
                f"it has {len(values) + 1} numbers; a box with key points has 5, and 2 or 3 more for each of them"
            )
        return list(values[:4])

    def _box(self, name: str, values: Sequence[float], shape: tuple[int, ...]) -> Region:
        (x, y, across, down), (height, width) = values, shape
        edges = ((x - across / 2) * width, (y - down / 2) * height, (x + across / 2) * width, (y + down / 2) * height)
        return regions.box(name, edges, shape)

    def _polygon(self, name: str, values: Sequence[float], shape: tuple[int, ...]) -> Region:
        count, (height, width) = len(values) + 1, shape
        if count == 6:
            raise RegionInvalid(
                "it has 6 numbers: the last seems to be a confidence, and the file a prediction, not an annotation"
            )
        if self.task == "auto" and count % 2 == 0 and with_visibility(values):
            raise RegionInvalid(
                f"it has {count} numbers, and seems to be a box with {_count(values, 3)} of x, y and visibility. {_DECIDE}"
            )
        if count < 7 or count % 2 == 0:
            raise RegionInvalid(f"it has {count} numbers; a box has 5, a polygon 7 or more, an odd number")
        found = regions.polygon(name, [(x * width, y * height) for x, y in regions.pairs(values)], shape)
        if points_in_a_box(values):
            self._lengths[len(values)] += 1
        else:
            self._polygons += 1
        return found


def with_visibility(values: Sequence[float]) -> bool:
    """Return whether numbers after a class are a box and key points of x, y and visibility (0, 1 or 2)."""
    points = values[4:]
    return bool(points) and len(points) % 3 == 0 and set(points[2::3]) <= _VISIBILITY and _inside(values, 3)


def points_in_a_box(values: Sequence[float]) -> bool:
    """Return whether numbers after a class could be a box, and key points in it of two numbers, or of three."""
    points = values[4:]
    return with_visibility(values) or (bool(points) and len(points) % 2 == 0 and _inside(values, 2))


def _inside(values: Sequence[float], each: int) -> bool:
    (x, y, across, down), points = values[:4], values[4:]
    if not (across > 0 and down > 0 and _in_image(x, across) and _in_image(y, down)):
        return False
    corners = list(zip(points[::each], points[1::each], strict=True))
    # A key point that nobody labelled is written as 0 0.
    labelled = [corner for corner in corners if corner != (0.0, 0.0)]
    slack = 1 + 2 * _SLACK
    return bool(labelled) and all(
        abs(across_at - x) <= across * slack / 2 and abs(down_at - y) <= down * slack / 2
        for across_at, down_at in labelled
    )


def _in_image(middle: float, length: float) -> bool:
    return length / 2 - 0.01 <= middle <= 1.01 - length / 2


def _count(values: Sequence[float], each: int) -> str:
    number = (len(values) - 4) // each
    return f"{number} key point{'s' if number > 1 else ''}"
