"""The record of an ingest, as runs read it: absent, whole, or named as damaged."""

from __future__ import annotations

import json

import pytest

from steel_training.data.grey_range import recorded_range
from steel_training.data.image_cut import recorded_cut
from steel_training.data.ingest_record import IngestRecordInvalid, read_ingest_record
from steel_training.storage import open_storage


def test_a_record_is_read_where_there_is_one(tmp_path) -> None:
    storage = open_storage(str(tmp_path))
    assert read_ingest_record(storage) == {}
    (tmp_path / "ingest.json").write_text(json.dumps({"format": "masks"}))
    assert read_ingest_record(storage) == {"format": "masks"}


@pytest.mark.parametrize("text", ["{", "[" * 9999])
@pytest.mark.parametrize("read", [read_ingest_record, recorded_range, recorded_cut])
def test_a_damaged_record_is_named(tmp_path, text, read) -> None:
    (tmp_path / "ingest.json").write_text(text, encoding="utf-8")
    with pytest.raises(IngestRecordInvalid, match=r"ingest\.json is not valid JSON .* Restore the file"):
        read(open_storage(str(tmp_path)))
