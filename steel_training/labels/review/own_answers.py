"""What one reviewer has answered about one dataset version, kept up to date with the store without reading everything again.

All answers are read once, when the review begins. Later only the reviewer's own files are listed, and those that changed are read; such
a file has at most `_LINES` lines. So a request costs about the same however many answers there are, and several processes in which the
same person answers (the workers of Airflow's API server) see each other's.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import defaultdict
from collections.abc import Container
from datetime import UTC, datetime

from steel_training.labels.answers import FOLDER, Answer, Said, append_answers, files_of, read_file, when
from steel_training.storage import Storage

_LINES = 500


class OwnAnswers:
    """The answers of one reviewer about one dataset version. Not thread-safe.

    Attributes:
        others: the other answers of the store, about other versions or by other people, as they were at the beginning.
    """

    def __init__(self, store: Storage, dataset: str, fingerprint: str, by: str) -> None:
        """Read all answers in the store.

        Raises:
            AnswerInvalid: a line was edited by hand and cannot be read.
        """
        self._store = store
        self._about = (dataset, fingerprint, by)
        self._prefix = f"{FOLDER}/{_file_name(by)}-"
        self._known: dict[str, tuple[str, int]] = {}
        self._standing: dict[str, list[Answer]] = defaultdict(list)
        self._order: list[str] = []
        self._openly: set[str] = set()
        self._session, self._written = "", _LINES
        found: list[Answer] = []
        for entry in files_of(store):
            answers = read_file(store, entry.key)
            found += answers
            if entry.key.startswith(self._prefix):
                self._known[entry.key] = (entry.etag, len(answers))
        for answer in sorted(self._own(found), key=when):
            self._take(answer)
        self.others = [answer for answer in found if not self._is_own(answer)]

    def standing(self, patch_id: str) -> list[Answer]:
        """Return the answers about a patch that were not taken back, oldest first."""
        return self._standing.get(patch_id, [])

    def patches(self) -> set[str]:
        """Return the patches about which there are answers, even if they were taken back."""
        return set(self._standing)

    def last(self, patches: Container[str], *, blind: bool) -> str | None:
        """Return that of some patches which was answered last, if its answer was not taken back."""
        for patch_id in reversed(self._order):
            if patch_id in patches and self._standing[patch_id][-1].blind == blind:
                return patch_id
        return None

    def seen_openly(self, patch_id: str) -> bool:
        """Return whether the reviewer has answered about a patch with its label in view, even if the answer was taken back."""
        return patch_id in self._openly

    def refresh(self) -> list[Answer]:
        """Read what is new in the reviewer's files, and return it, oldest first.

        Raises:
            AnswerInvalid: a line was edited by hand and cannot be read, or lines are gone.
        """
        new: list[Answer] = []
        for entry in files_of(self._store):
            tag, known = self._known.get(entry.key, ("", 0))
            if entry.key.startswith(self._prefix) and tag != entry.etag:
                found = read_file(self._store, entry.key, after=known)
                self._known[entry.key] = (entry.etag, known + len(found))
                new += self._own(found)
        new.sort(key=when)
        for answer in new:
            self._take(answer)
        return new

    def append(self, answer: Answer) -> None:
        """Append an answer to the store; the next `refresh` returns it.

        Raises:
            AnswersBusy: others kept writing to the same file; nothing was written.
        """
        if self._written >= _LINES:
            moment = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
            self._session, self._written = self._prefix.removeprefix(f"{FOLDER}/") + moment, 0
        append_answers(self._store, self._session, [answer])
        self._written += 1

    def _take(self, answer: Answer) -> None:
        standing = self._standing[answer.patch_id]
        if answer.said is not Said.UNDO:
            standing.append(answer)
            self._order.append(answer.patch_id)
            if not answer.blind:
                self._openly.add(answer.patch_id)
        elif standing:
            standing.pop()
            del self._order[len(self._order) - 1 - self._order[::-1].index(answer.patch_id)]

    def _is_own(self, answer: Answer) -> bool:
        return (answer.dataset, answer.fingerprint, answer.by) == self._about

    def _own(self, answers: list[Answer]) -> list[Answer]:
        return [answer for answer in answers if self._is_own(answer)]


def _file_name(by: str) -> str:
    """Return a file name for a reviewer: what is readable of the name, and a hash that tells apart names which look alike so."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", by).strip("-")[:30] or "reviewer"
    return f"{readable}-{hashlib.sha256(by.encode()).hexdigest()[:8]}"
