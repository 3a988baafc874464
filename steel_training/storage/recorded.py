"""JSON objects of a record, of which a missing value is an error with the name of record and value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from steel_training.errors import SteelTrainingError


class ValueMissing(SteelTrainingError):
    """A record lacks a value that is read: another version of this program wrote it, or it was changed by hand."""


class Recorded(dict[str, Any]):
    """A JSON object that knows where it was read. `get` and `in` are those of a dict."""

    def __init__(
        self, values: Mapping[str, Any] | Iterable[tuple[str, Any]], where: str = "The record", path: str = ""
    ) -> None:
        """Take the values, and those of the objects in them.

        Args:
            values: of a JSON object, or its items, as `dataclasses.asdict` gives them.
            where: what it is and where it stands, for the message.
            path: of the object in the record, such as `metrics.auc`; empty for the outermost.
        """
        self._where, self._path = where, path
        super().__init__((name, self._of(value, _join(path, name))) for name, value in dict(values).items())

    def _of(self, value: Any, path: str) -> Any:
        if isinstance(value, Mapping):
            return Recorded(value, self._where, path)
        if isinstance(value, list):
            return [self._of(each, f"{path}[{number}]") for number, each in enumerate(value)]
        return value

    def __missing__(self, name: str) -> Any:
        raise ValueMissing(f"{self._where} has no '{_join(self._path, name)}'. {ADVICE}")


ADVICE = "Another version of this program wrote it, or it was changed by hand: repeat the run under another --run-id."


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
