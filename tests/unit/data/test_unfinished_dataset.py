"""An ingest that is killed goes on where it was when it is repeated, and leaves the dataset that it would have left."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from PIL import Image

from steel_training.cli import main
from steel_training.data.dataset import OutputExists, new_dataset
from steel_training.data.unfinished_dataset import unfinished
from steel_training.storage import open_storage

PATCHES = 4 * 12
KILLED_AT = 21


@pytest.fixture
def words(tmp_path: Path) -> Callable[[str], list[str]]:
    """Four images and the words of their ingest to some place: 12 patches of 8 pixels each, all unlike one another."""
    (tmp_path / "images").mkdir()
    for number in range(4):
        pixels = np.random.default_rng(number).integers(60, 140, (24, 32), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
    (tmp_path / "train.csv").write_text("ImageId,ClassId,EncodedPixels\n2.png,1,1 200\n")
    sources = ["ingest", "severstal", str(tmp_path / "images"), str(tmp_path / "train.csv")]
    return lambda out: [*sources, out, "--missing", "clean", "--patch", "8", "--stride", "8"]


def run(what: str, number: int, words: list[str]) -> tuple[int, str]:
    """Runs a command that is killed before the nth is encoded or sent; returns its exit status and last line."""
    program = Path(__file__).with_name("ingest_until_killed.py")
    done = subprocess.run([sys.executable, program, what, str(number), *words], capture_output=True, text=True)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode, done.stdout.strip().rpartition("\n")[2]


def content(out: str) -> dict[str, bytes]:
    storage = open_storage(out)
    return {entry.key: storage.read(entry.key) for entry in storage.entries()}


def kept() -> list[Path]:
    return [path for path in Path(os.environ["STEEL_TRAINING_SCRATCH"], "ingest").glob("*/kept/*/*") if path.is_file()]


@pytest.mark.parametrize("refused", [errno.EMLINK, errno.EPERM])
def test_where_no_link_can_be_made_patches_are_copied(words, tmp_path, monkeypatch, refused: int) -> None:
    """A file has 65,000 links at most, which a dataset with more patches of one grey value needs; some file systems have none."""
    assert main(words(str(tmp_path / "linked"))) == 0

    def refuse(*_: object, **__: object) -> None:
        raise OSError(refused, os.strerror(refused))

    monkeypatch.setattr(os, "link", refuse)
    assert main(words(str(tmp_path / "copied"))) == 0
    assert content(str(tmp_path / "copied")) == content(str(tmp_path / "linked"))


def test_encoded_patches_are_found_again_after_a_kill(words, tmp_path) -> None:
    assert main(words(str(tmp_path / "whole"))) == 0
    out = str(tmp_path / "killed")
    assert run("encoded", KILLED_AT, words(out)) == (-9, "")
    assert not Path(out).exists()
    found = len([path for path in kept() if path.suffix != ".part"])
    assert KILLED_AT - os.cpu_count() <= found <= KILLED_AT - 1, "some may have been on their way"
    assert run("encoded", 0, words(out)) == (0, f"{PATCHES - found} 0")
    assert content(out) == content(str(tmp_path / "whole"))
    assert kept() == []


def test_patches_of_the_same_pixels_are_one_file_whoever_encodes_them_first(tmp_path) -> None:
    """An image that was uploaded twice, or black margins: threads meet at the same patch, and none may pull it from under another."""
    with unfinished(str(tmp_path / "out")) as work, ThreadPoolExecutor(4) as threads:
        for number in range(300):
            pixels, begin = np.full((4, 4), number, np.uint16).view(np.uint8), Barrier(4)
            targets = [work.folder / f"{number}_{thread}.png" for thread in range(4)]

            def write(target: Path, pixels: np.ndarray = pixels, begin: Barrier = begin) -> int:
                begin.wait()
                work.write(pixels, target)
                return target.stat().st_ino

            assert len(set(threads.map(write, targets))) == 1
        assert len(kept()) == 300, "no part of a file is left"


def test_what_changed_since_the_kill_is_seen(words, tmp_path) -> None:
    out = str(tmp_path / "killed")
    assert run("encoded", KILLED_AT, words(out))[0] == -9
    (tmp_path / "train.csv").write_text("ImageId,ClassId,EncodedPixels\n0.png,1,1 200\n")
    Image.fromarray(np.zeros((24, 32), np.uint8) + 7).save(tmp_path / "images" / "1.png")
    assert main(words(str(tmp_path / "whole"))) == 0
    assert main(words(out)) == 0
    assert content(out) == content(str(tmp_path / "whole"))


def test_an_upload_goes_on_after_a_kill(words, tmp_path, s3) -> None:
    assert main(words(str(tmp_path / "whole"))) == 0
    assert run("sent", KILLED_AT, words(f"{s3}/killed"))[0] == -9
    # Several are sent at once, so that those on their way may have arrived or not.
    there = set(content(f"{s3}/killed"))
    assert 0 < len(there) < PATCHES
    assert "manifest.csv" not in there
    status, counts = run("sent", 0, words(f"{s3}/killed"))
    encoded, sent = map(int, counts.split())
    assert (status, encoded) == (0, 0)
    assert sent <= PATCHES + 2 - len(there), "the patches that were missing, the record and the manifest"
    assert content(f"{s3}/killed") == content(str(tmp_path / "whole"))


def test_a_place_that_is_not_empty_is_refused_unless_an_upload_was_killed(words, s3, capsys) -> None:
    open_storage(s3).write("taken/notes.txt", b"not ours")
    assert run("encoded", KILLED_AT, words(f"{s3}/fresh"))[0] == -9
    open_storage(s3).write("fresh/notes.txt", b"not ours")
    for place in ("taken", "fresh"):
        assert main(words(f"{s3}/{place}")) == 2
        assert "is not empty; nothing was written" in capsys.readouterr().err
        assert set(content(f"{s3}/{place}")) == {"notes.txt"}


def test_nothing_is_kept_after_an_error(tmp_path) -> None:
    pieces = [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 7), np.uint8)]
    with pytest.raises(TypeError), new_dataset(str(tmp_path / "out")) as writer:
        [writer.add(str(number), piece, label=0, source_id="a") for number, piece in enumerate(pieces)]
    assert kept() == []
    assert not (tmp_path / "out").exists()


def test_two_at_once_do_not_share_their_work(tmp_path, wait_until) -> None:
    out = str(tmp_path / "out")
    with new_dataset(out) as writer, unfinished(out) as other:
        assert other.kept is None
        writer.add("a", np.zeros((8, 8), np.uint8), label=0, source_id="a")
        other.write(np.zeros((8, 8), np.uint8), other.folder / "a.png")
        first = writer.folder / "patches" / "a.png"
        wait_until(first.exists, "an encoded patch")
        assert not (other.folder / "a.png").samefile(first)
    with pytest.raises(OutputExists), new_dataset(out):
        pass
