"""How a dataset was cut is on record, and comes back as it was written."""

from __future__ import annotations

import json

import pytest

from steel_training.data.image_cut import ImageCut, from_record, recorded_cut
from steel_training.data.ingest_record import IngestRecordInvalid
from steel_training.storage import open_storage

CUT = ImageCut(256, 128, cover_edges=False, min_contrast=1.0, grey=True)
RECORD = CUT.as_record()


@pytest.mark.parametrize(("content", "found"), [({}, None), ({"cut": None}, None), ({"cut": RECORD}, CUT)])
def test_cut_of_a_dataset_is_on_record(tmp_path, content, found) -> None:
    (tmp_path / "ingest.json").write_text(json.dumps(content), encoding="utf-8")
    assert recorded_cut(open_storage(str(tmp_path))) == found


@pytest.mark.parametrize(
    "found",
    [
        5,
        {},
        {**RECORD, "patch": 0},
        {**RECORD, "stride": 1.5},
        {**RECORD, "stride": True},
        {**RECORD, "grey": "yes"},
        {**RECORD, "min_contrast": float("nan")},
        {**RECORD, "min_contrast": None},
    ],
)
def test_a_damaged_cut_is_named(found) -> None:
    with pytest.raises(IngestRecordInvalid, match=r"ingest\.json has the cut .*expected patch and stride in pixels"):
        from_record(found, "ingest.json")
