"""One reviewer's pass through a queue of patches: what the page shows, and what it answers.

In blind mode nothing that is sent says anything about the label: no id, path, score, suggestion or neighbour, and the order is random.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

from steel_training.errors import SteelTrainingError
from steel_training.labels.answers import Answer, Said
from steel_training.labels.review.own_answers import OwnAnswers
from steel_training.labels.review.pictures import Pictures
from steel_training.labels.review.sheet import Neighbour, Sheet, SheetPatch
from steel_training.storage import Storage
from steel_training.storage.json_types import Json

AHEAD = 6
"""Patches that the page gets at once, so that it can load their pictures before they are shown."""

_LONGEST_SECONDS = 24 * 3600.0


class AnswerRefused(SteelTrainingError):
    """An answer of the page was not recorded; the message says why."""


class Review:
    """A queue, the reviewer's answers, and the pictures. Safe to use from several threads."""

    def __init__(
        self,
        sheet: Sheet,
        queue: Sequence[SheetPatch],
        answers: OwnAnswers,
        storage: Storage,
        *,
        blind: bool,
        key: bytes,
    ) -> None:
        """Begin, or go on where the reviewer stopped.

        Args:
            sheet: of the dataset version.
            queue: patches in the order in which they are shown. A blind review leaves out those that the reviewer has seen with label.
            answers: of the reviewer about the version.
            storage: of the dataset.
            blind: whether label, score, suggestion and neighbours are hidden.
            key: secret of the names under which patches and pictures are sent.
        """
        self.sheet = sheet
        self.blind = blind
        self._answers = answers
        self._key = key
        self._queue = [patch for patch in queue if not (blind and answers.seen_openly(patch.patch_id))]
        self.left_out = len(queue) - len(self._queue)
        self._place = {patch.patch_id: place for place, patch in enumerate(self._queue)}
        self._named = {self._name(patch): patch for patch in self._queue}
        self._done = {patch.patch_id for patch in self._queue if self._is_done(patch.patch_id)}
        self._next = 0
        self._lock = threading.Lock()
        self.pictures = Pictures(storage, (path for patch in self._queue for path in self._paths(patch)), key)

    def window(self) -> dict[str, Json]:
        """Return the progress, and the next patches to show, as JSON values."""
        with self._lock:
            self._refresh()
            return self._window()

    def answer(self, name: str, said: Said, seconds: float, by: str) -> dict[str, Json]:
        """Record an answer, and return the next patches.

        Args:
            name: of the patch, as `window` gave it.
            said: the answer; not `undo`.
            seconds: between showing the patch and the answer.
            by: the reviewer.

        Raises:
            AnswerRefused: the patch is none of this review, or was answered meanwhile.
            AnswersBusy: the store was being written by others; nothing was written.
        """
        patch = self._named.get(name)
        if patch is None:
            raise AnswerRefused("This patch is none of this review; nothing was recorded. Reload the page.")
        if not (math.isfinite(seconds) and seconds >= 0):
            raise AnswerRefused(
                f"The answer took {seconds!r} seconds, which cannot be; nothing was recorded. Reload the page."
            )
        with self._lock:
            self._refresh()
            if patch.patch_id in self._done:
                raise AnswerRefused(
                    "You have answered about this patch already, perhaps in another window; nothing was recorded. Reload the page."
                )
            self._record(patch, said, min(seconds, _LONGEST_SECONDS), by)
            return self._window()

    def undo(self, by: str) -> dict[str, Json]:
        """Take back the reviewer's last answer of this review, by a record that says so, and return the next patches.

        Raises:
            AnswerRefused: there is none.
        """
        with self._lock:
            self._refresh()
            last = self._answers.last(self._place, blind=self.blind)
            if last is None:
                raise AnswerRefused("There is no answer to take back.")
            self._record(self._queue[self._place[last]], Said.UNDO, 0.0, by)
            return self._window()

    def _record(self, patch: SheetPatch, said: Said, seconds: float, by: str) -> None:
        self._answers.append(
            Answer(
                dataset=self.sheet.dataset,
                fingerprint=self.sheet.fingerprint,
                patch_id=patch.patch_id,
                said=said,
                by=by,
                at=datetime.now(UTC).isoformat(),
                seconds=round(seconds, 2),
                blind=self.blind,
                shown={} if said is Said.UNDO else self._shown(patch),
            )
        )
        self._refresh()

    def _refresh(self) -> None:
        for answer in self._answers.refresh():
            place = self._place.get(answer.patch_id)
            if place is None:
                continue
            if self._is_done(answer.patch_id):
                self._done.add(answer.patch_id)
            else:
                self._done.discard(answer.patch_id)
                self._next = min(self._next, place)

    def _is_done(self, patch_id: str) -> bool:
        """Return whether an answer stands; in a blind review, a blind one."""
        return any(answer.blind or not self.blind for answer in self._answers.standing(patch_id))

    def _window(self) -> dict[str, Json]:
        while self._next < len(self._queue) and self._queue[self._next].patch_id in self._done:
            self._next += 1
        items: list[Json] = []
        place = self._next
        while place < len(self._queue) and len(items) < AHEAD:
            if self._queue[place].patch_id not in self._done:
                items.append(self._item(self._queue[place]))
            place += 1
        return {
            "answered": len(self._done),
            "total": len(self._queue),
            "can_undo": self._answers.last(self._place, blind=self.blind) is not None,
            "items": items,
        }

    def _item(self, patch: SheetPatch) -> dict[str, Json]:
        item: dict[str, Json] = {
            "name": self._name(patch),
            "picture": self.pictures.name(patch.path),
            "around": [
                {"picture": self.pictures.name(each.path), "right": each.right, "down": each.down}
                for each in patch.around
            ],
        }
        if self.blind:
            return item
        return item | {
            "patch_id": patch.patch_id,
            **patch.judged,
            "clean": self._pictures_of(patch.clean),
            "defective": self._pictures_of(patch.defective),
        }

    def _pictures_of(self, neighbours: Sequence[Neighbour]) -> list[Json]:
        return [self.pictures.name(each.path) for each in neighbours]

    def _shown(self, patch: SheetPatch) -> dict[str, Json]:
        """Return what was on the screen, for the record."""
        around: dict[str, Json] = {"surroundings": True} if patch.around else {}
        if self.blind:
            return around
        return around | {
            **patch.judged,
            "clean": [each.patch_id for each in patch.clean],
            "defective": [each.patch_id for each in patch.defective],
        }

    def _paths(self, patch: SheetPatch) -> list[str]:
        neighbours = () if self.blind else (*patch.clean, *patch.defective)
        return [patch.path, *(each.path for each in patch.around), *(each.path for each in neighbours)]

    def _name(self, patch: SheetPatch) -> str:
        return hmac.digest(self._key, b"patch\0" + patch.patch_id.encode(), hashlib.sha256).hex()[:32]
