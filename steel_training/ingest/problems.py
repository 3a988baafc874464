"""Collects all problems of a dataset into one message: the first ten of each kind and the count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from steel_training.errors import UsageError

SHOWN = 10


class DatasetInvalid(UsageError):
    """Images and annotations have problems of several kinds."""


class Problems:
    """Problems of an ingest, collected while it goes on reading.

    Example:
        >>> problems = Problems()
        >>> for name in ("a", "b"):
        ...     with problems.collected():
        ...         raise DatasetInvalid(f"{name} is broken.")
        >>> len(problems)
        2
    """

    def __init__(self) -> None:
        self._found: list[UsageError] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, problem: UsageError) -> None:
        """Add a problem, to be raised later."""
        self._found.append(problem)

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Collect a `UsageError` that is raised inside, and continues after the block; other errors pass through."""
        try:
            yield
        except UsageError as problem:
            self.add(problem)

    def settle(self) -> None:
        """Raise the collected problems, if any: a single one as it was, several of one kind as that kind, else `DatasetInvalid`."""
        if not self._found:
            return
        if len(self._found) == 1:
            raise self._found[0]
        kinds: dict[type[UsageError], list[UsageError]] = {}
        for problem in self._found:
            kinds.setdefault(type(problem), []).append(problem)
        lines = [f"{len(self._found):,} problems; nothing was written:"]
        for problems in kinds.values():
            lines += [f"  {problem}" for problem in problems[:SHOWN]]
            if len(problems) > SHOWN:
                lines.append(f"  and {len(problems) - SHOWN:,} more of this kind")
        raise (next(iter(kinds)) if len(kinds) == 1 else DatasetInvalid)("\n".join(lines)) from None


def first_ten(names: Iterable[object]) -> str:
    """List names for a message: the first ten, and how many more there are."""
    every = [str(name) for name in names]
    rest = f" and {len(every) - SHOWN:,} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + rest


def in_folders(names: Iterable[str]) -> str:
    """Return in which folders the files are, as ' (16 in test_images)'; empty where there are no folders."""
    folders = Counter(name.rpartition("/")[0] or "the top folder" for name in names)
    if set(folders) <= {"the top folder"}:
        return ""
    return f" ({first_ten(f'{count:,} in {folder}' for folder, count in folders.most_common())})"
