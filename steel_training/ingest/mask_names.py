"""How the mask of an image is named: as the image, with a suffix, or in a folder of another name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from steel_training.errors import UsageError


class MaskNamesInvalid(UsageError):
    """`--mask-suffix` or `--mask-folder` cannot be the difference between an image's name and its mask's."""


@dataclass(frozen=True)
class MaskNames:
    """The difference between the name of an image and that of its mask.

    Attributes:
        suffix: end of a mask's name that its image has not, such as `_GT`.
        folder: `images=masks`, where one folder of the path has another name.

    Raises:
        MaskNamesInvalid: `folder` is not of that form.
    """

    suffix: str = ""
    folder: str = ""
    _folders: tuple[str, str] = field(init=False, default=("", ""))

    def __post_init__(self) -> None:
        if self.folder:
            of_images, _, of_masks = (word.strip(" /") for word in self.folder.partition("="))
            if not of_images or not of_masks or of_images == of_masks or "/" in of_images + of_masks:
                raise MaskNamesInvalid(
                    f"--mask-folder is {self.folder!r}; expected two names of folders, such as images=masks."
                )
            object.__setattr__(self, "_folders", (of_images, of_masks))

    def __bool__(self) -> bool:
        return bool(self.suffix or self.folder)

    def mask_of(self, image: str) -> str:
        """Return the name of an image's mask, as a path without file suffix."""
        path = PurePosixPath(image + self.suffix)
        of_images, of_masks = self._folders
        if of_images in path.parent.parts:
            at = max(place for place, part in enumerate(path.parent.parts) if part == of_images)
            path = PurePosixPath(*path.parts[:at], of_masks, *path.parts[at + 1 :])
        return str(path)

    def is_mask(self, name: str) -> bool:
        """Return whether a file of this name is a mask."""
        path = PurePosixPath(name)
        in_folder = not self.folder or self._folders[1] in path.parent.parts
        return in_folder and path.name.endswith(self.suffix) and path.name != self.suffix


def likely_suffix(images: Iterable[str], masks: Iterable[str]) -> str | None:
    """Return the suffix of most masks that are an image's name and more, such as `_GT`; `None` where there is none."""
    known = set(images)
    suffixes: Counter[str] = Counter()
    for mask in masks:
        for separator in "_-.":
            base, found, rest = mask.rpartition(separator)
            if found and base in known and "/" not in rest:
                suffixes[found + rest] += 1
    return suffixes.most_common(1)[0][0] if suffixes else None
