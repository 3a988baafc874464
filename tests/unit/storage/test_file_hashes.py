"""Every file of a folder has its hash, by its path in it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from steel_training.storage.file_hashes import file_hashes


def test_files_are_hashed_by_their_path_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "model" / "empty").mkdir(parents=True)
    (tmp_path / "model" / "weights").write_bytes(b"w" * 300_000)
    (tmp_path / "weights").write_bytes(b"")
    assert file_hashes(tmp_path) == {
        "model/weights": hashlib.sha256(b"w" * 300_000).hexdigest(),
        "weights": hashlib.sha256(b"").hexdigest(),
    }
    assert set(file_hashes(tmp_path, without=("weights",))) == {"model/weights"}
