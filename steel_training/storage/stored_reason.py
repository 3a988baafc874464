"""Why a run ended, as results, verdicts and `gate.json` hold it."""

from __future__ import annotations

from steel_training.storage.declared import Declared


class StoredReason(Declared):
    """A `Reason` as JSON holds it."""

    code: str
    message: str
