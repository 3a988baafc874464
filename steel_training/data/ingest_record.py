"""`ingest.json` beside a manifest, as those read it who did not write it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from steel_training.errors import UsageError
from steel_training.storage import Storage

INGEST_RECORD = "ingest.json"
"""Beside the manifest: what `ingest` did, the grey range and the cut among it."""


class IngestRecordInvalid(UsageError):
    """`ingest.json` of a dataset cannot be read, or says what no ingest writes."""


def read_ingest_record(dataset: Storage) -> Mapping[str, Any]:
    """Return the record of a dataset's ingest; empty where there is none.

    Raises:
        IngestRecordInvalid: it is not a JSON object.
    """
    if not dataset.exists(INGEST_RECORD):
        return {}
    where = dataset.location(INGEST_RECORD)
    try:
        record = json.loads(dataset.read(INGEST_RECORD))
    except (ValueError, RecursionError) as error:
        raise IngestRecordInvalid(f"{where} is not valid JSON ({error}). Restore the file, or remove it.") from None
    return record if isinstance(record, dict) else {}
