"""Of a dataset on S3 no object is read into memory that is too large to be a patch."""

from __future__ import annotations

from pathlib import Path

import pytest

from steel_training.storage import FileRefused, dataset_folder, open_dataset, open_storage


def test_object_beyond_the_limit_is_refused(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_folder, "LARGEST_FILE", 1000)
    stored, dataset = open_storage(f"{s3}/strips"), open_dataset(f"{s3}/strips")
    for key, size in (("small", 1000), ("large", 1001), ("manifest.csv", 1001)):
        stored.write(key, bytes(size))
    assert len(dataset.read("small")) == 1000
    assert len(dataset.read("manifest.csv")) == 1001, "manifests are larger"
    for read in (dataset.read, dataset.read_tagged):
        with pytest.raises(FileRefused, match="large is too large: 1,001 bytes; at most 1,000 are read"):
            read("large")
    dataset.copy_to("large", tmp_path / "large")  # a pack is copied to the disk, whatever its size
    assert len(stored.read("large")) == 1001, "a store has no such limit"
