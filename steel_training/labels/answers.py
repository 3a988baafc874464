"""Answers of people about labels: append-only records in the store, as JSON lines (`docs/labels.md` has the format).

One file per session of a reviewer, so that two who answer at once write to two files. A line is written whole or not at all, and none is
ever changed: an answer taken back is another line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from steel_training.errors import SteelTrainingError, UsageError
from steel_training.storage import ConditionFailed, Entry, ObjectNotFound, Storage, schema
from steel_training.storage.json_types import Json

FOLDER = "labels/answers"
_SUFFIX = ".jsonl"
_SESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TRIES = 20


class AnswerInvalid(UsageError):
    """An answer cannot be recorded, or a record cannot be read; the message names file and line."""


class AnswersBusy(SteelTrainingError):
    """Others kept writing to the same session; nothing was written."""


class Said(StrEnum):
    """What a person answered. `undo` takes back the last answer of the same person about the same patch."""

    DEFECTIVE = "defective"
    CLEAN = "clean"
    CANNOT_TELL = "cannot_tell"
    UNDO = "undo"


@dataclass(frozen=True)
class Answer:
    """One answer; the fields are the keys of its line.

    Attributes:
        dataset: URI of the dataset version.
        fingerprint: of that version, files and labels.
        patch_id: of the patch.
        said: the answer.
        by: name of the person.
        at: when, ISO 8601 with time zone.
        seconds: between showing the patch and the answer.
        blind: whether label, score and suggestion were hidden.
        shown: what the person saw, such as `{"label": 0, "score": 0.9, "neighbours": ["p1"]}`; JSON values.
    """

    dataset: str
    fingerprint: str
    patch_id: str
    said: Said
    by: str
    at: str
    seconds: float
    blind: bool
    shown: Mapping[str, Json] = field(default_factory=dict)

    def to_line(self) -> str:
        """Return the JSON of one line."""
        record = {schema.KEY: schema.SCHEMA, **asdict(self), "said": str(self.said)}
        return json.dumps(record, sort_keys=True, allow_nan=False, ensure_ascii=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Answer:
        """Read a line back.

        Raises:
            WrittenByNewer: a later version of this program wrote it.
            TypeError: a value is missing or of another type.
            ValueError: a value is impossible.
        """
        if not isinstance(values, Mapping):
            raise TypeError(f"it holds a {type(values).__name__}, expected an object")
        schema.readable(values, "An answer")
        kinds: dict[str, type | tuple[type, ...]] = {
            **dict.fromkeys(("dataset", "fingerprint", "patch_id", "said", "by", "at"), str),
            "seconds": (int, float),
            "blind": bool,
            "shown": Mapping,
        }
        for name, kind in kinds.items():
            if not isinstance(values.get(name), kind):
                raise TypeError(f"its {name} is {values.get(name)!r:.80}")
        if not values["by"].strip():
            raise ValueError("its by is empty")
        if not 0 <= values["seconds"] < float("inf"):
            raise ValueError(f"its seconds are {values['seconds']!r}")
        if datetime.fromisoformat(values["at"]).tzinfo is None:
            raise ValueError(f"its at is {values['at']!r}, without a time zone")
        return cls(**{**{name: values[name] for name in kinds}, "said": Said(values["said"])})


def append_answers(store: Storage, session: str, answers: Sequence[Answer]) -> None:
    """Append answers to the file of a session, all of them or none.

    Args:
        store: of runs and models.
        session: name of its file: letters, digits, '.', '_' and '-'. One per reviewer and sitting.
        answers: in the order in which they were given.

    Raises:
        AnswerInvalid: the session's name is not a file name, or an answer cannot be read back.
        AnswersBusy: others kept writing to the same session.
    """
    if not _SESSION.fullmatch(session):
        raise AnswerInvalid(f"The session {session!r} is no file name; use letters, digits, '.', '_' and '-'.")
    lines = [answer.to_line() for answer in answers]
    for line in lines:
        try:
            Answer.from_dict(json.loads(line))
        except (ValueError, TypeError) as error:
            raise AnswerInvalid(f"The answer {line:.200} cannot be recorded: {error}.") from None
    new = "".join(f"{line}\n" for line in lines).encode()
    key = f"{FOLDER}/{session}{_SUFFIX}"
    for _ in range(_TRIES):
        try:
            before, tag = store.read_tagged(key)
        except ObjectNotFound:
            before, tag = b"", None
        try:
            store.write(key, before + new, if_absent=tag is None, if_match=tag)
        except ConditionFailed:
            continue  # another writer of this session was faster: append to what is there now
        return
    raise AnswersBusy(f"{store.location(key)} is being written by others; nothing was written. Answer again.")


def read_answers(store: Storage) -> list[Answer]:
    """Return all answers in the store, oldest first; those of the same instant in the order of their file.

    Raises:
        AnswerInvalid: a line was edited by hand and cannot be read.
    """
    found = [answer for entry in files_of(store) for answer in read_file(store, entry.key)]
    return sorted(found, key=when)


def when(answer: Answer) -> datetime:
    """Return the moment of an answer."""
    return datetime.fromisoformat(answer.at)


def files_of(store: Storage) -> list[Entry]:
    """Return the files with answers."""
    return [entry for entry in store.files(FOLDER) if entry.key.endswith(_SUFFIX)]


def read_file(store: Storage, key: str, *, after: int = 0) -> list[Answer]:
    """Return the answers of a file, in order.

    Args:
        store: of runs and models.
        key: of the file.
        after: lines at the beginning that are known already.

    Raises:
        AnswerInvalid: a line was edited by hand and cannot be read, or known lines are gone.
    """
    # Not splitlines(), which also ends a line at characters that a name may hold.
    lines = store.read(key).decode("utf-8", "replace").removesuffix("\n").split("\n")
    if len(lines) < after:
        raise AnswerInvalid(
            f"{store.location(key)} had {after} lines and now has {len(lines)}: it was changed by hand. Restore it; answers are only "
            "ever appended."
        )
    found = []
    for number, line in enumerate(lines[after:], start=after + 1):
        try:
            found.append(Answer.from_dict(json.loads(line)))
        except (ValueError, TypeError) as error:
            raise AnswerInvalid(
                f"Line {number} of {store.location(key)} cannot be read: {error}. Correct the line or restore the file; "
                "nothing was changed."
            ) from None
    return found
