"""TensorBoard over all trainings of a store: `python scripts/show_trainings.py --to FOLDER`.

TensorBoard cannot read the store on S3, so the event files are copied to a folder every 30 seconds, and files that the store no
longer has are deleted there. A stage's event files are in the store once the stage has ended. TensorBoard shows the subfolders as
runs: RUN/STAGE/train and RUN/STAGE/validation.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from steel_training.environment import Environment
from steel_training.runs.result import RUNS
from steel_training.storage import Entry, Storage, StorageError, open_storage

# The folder of the event files in a stage, and the stages that train.
EVENTS = "tensorboard"
TRAININGS = ("check_baseline", "train_head", "fine_tune")
COPIED = ".copied"
EVERY_SECONDS = 30.0


def copy_events(store: Storage, folder: Path, copied: dict[str, str]) -> int:
    """Synchronise the folder with the store.

    Args:
        store: of runs and models.
        folder: that TensorBoard reads.
        copied: tag of every file in the folder, by its path there; updated as well.

    Returns:
        The number of copied files.

    Raises:
        StorageError: the store cannot be read; copied files are kept.
    """
    found = {path: entry for run in store.folders(RUNS) for path, entry in _events(store, run)}
    new = {path: entry for path, entry in found.items() if copied.get(path) != entry.etag}
    for path, entry in new.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        # TensorBoard ignores names without "tfevents", so it never reads an incomplete file.
        partial = target.with_name(".partial")
        partial.write_bytes(store.read(entry.key))
        partial.replace(target)
        copied[path] = entry.etag
    for path in copied.keys() - found.keys():
        (folder / path).unlink(missing_ok=True)
        del copied[path]
    for run in {child.name for child in folder.iterdir() if child.is_dir()} - {path.split("/")[0] for path in found}:
        shutil.rmtree(folder / run)
    (folder / COPIED).touch()
    return len(new)


def _events(store: Storage, run: str) -> list[tuple[str, Entry]]:
    """Return the event files of a run: path in the folder, and entry in the store."""
    listed = []
    for stage in TRAININGS:
        top = f"{RUNS}/{run}/{stage}/{EVENTS}/"
        listed += [(f"{run}/{stage}/{entry.key.removeprefix(top)}", entry) for entry in store.entries(top)]
    return listed


def main() -> int:
    """Copy once, start TensorBoard, and keep copying until TensorBoard ends or the process is stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--to", type=Path, required=True, metavar="FOLDER", help="folder for the copies; it is emptied first"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=6006)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    if not (uri := Environment.read().store):
        print("STEEL_TRAINING_STORE is not set; expected the folder or s3:// URI of the store.", file=sys.stderr)
        return 2
    store = open_storage(uri)
    shutil.rmtree(options.to, ignore_errors=True)
    options.to.mkdir(parents=True)
    copied: dict[str, str] = {}
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(options.to)]
    board = subprocess.Popen([*command, "--host", options.host, "--port", str(options.port)])
    try:
        while board.poll() is None:
            _copy_and_report(store, options.to, copied)
            _wait(board, EVERY_SECONDS)
    except KeyboardInterrupt:
        return 0
    finally:
        board.terminate()
        board.wait(10)
    return board.returncode


def _copy_and_report(store: Storage, folder: Path, copied: dict[str, str]) -> None:
    try:
        number = copy_events(store, folder, copied)
    except StorageError as error:
        print(f"{error} Copied files are kept.", file=sys.stderr, flush=True)
    else:
        if number:
            print(f"{number} event files copied from {store.uri}", flush=True)


def _wait(board: subprocess.Popen[bytes], seconds: float) -> None:
    until = time.monotonic() + seconds
    while board.poll() is None and time.monotonic() < until:
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
