"""Deploys the champion to the base path of TensorFlow Serving: BASE/1/saved_model.pb, BASE/2/saved_model.pb and so on.

TensorFlow Serving loads the highest number as soon as it exists, so a number is created by a rename.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from steel_training.bundle.layout import SAVED_MODEL
from steel_training.errors import SteelTrainingError
from steel_training.registry import Registry, VersionNotFound

log = logging.getLogger(__name__)

KEPT = 2
# The SavedModel format's folder for files that TensorFlow does not read.
ORIGIN = Path("assets.extra", "steel_training.json")
CHECKED = ".checked"
_OCCUPIED = {errno.EEXIST, errno.ENOTEMPTY}


class CannotDeploy(SteelTrainingError):
    """The target folder cannot be written."""


@dataclass(frozen=True)
class Deployed:
    """The number of a deployed version, and whether it was deployed just now."""

    number: int
    version: str
    placed: bool


def deploy(registry: Registry, base: Path) -> Deployed:
    """Copy the champion's SavedModel to the next number, unless the highest number is that version already.

    Args:
        registry: of the model.
        base: base path of the model in TensorFlow Serving; created if missing.

    Returns:
        The number of the champion. The last `KEPT` numbers are kept, earlier ones removed.

    Raises:
        VersionNotFound: there is no champion.
        VersionDamaged: its files are not those published; nothing was deployed.
        CannotDeploy: the folder cannot be written.
    """
    champion, _ = registry.champion()
    numbers = _numbers(base)
    if numbers and champion is not None and _origin(base / str(numbers[-1])) == (registry.name, champion):
        _touch(base)
        return Deployed(numbers[-1], champion, placed=False)
    with registry.bundle(champion) as (version, folder), _explained(base):
        number = _place(folder / SAVED_MODEL, base, registry.name, version)
        for old in _numbers(base)[:-KEPT]:
            gone = _hidden(base)
            (base / str(old)).rename(gone)
            shutil.rmtree(gone)
    _touch(base)
    return Deployed(number, version, placed=True)


def watch(registry: Registry, base: Path, every: float) -> NoReturn:
    """Deploys every new champion, until the process ends. Errors are logged and retried; the deployed version stays."""
    while True:
        try:
            deployed = deploy(registry, base)
            if deployed.placed:
                log.info("%s is version %s", base / str(deployed.number), deployed.version)
        except VersionNotFound as error:
            log.info("%s", error)
            with contextlib.suppress(CannotDeploy):
                _touch(base)  # waiting for the first champion is healthy
        except SteelTrainingError as error:
            log.warning("%s; the deployed version stays", error)
        time.sleep(every)


def _place(model: Path, base: Path, name: str, version: str) -> int:
    base.mkdir(parents=True, exist_ok=True)
    staging = _hidden(base)
    try:
        shutil.copytree(model, staging)
        staging.chmod(0o755)
        (staging / ORIGIN).parent.mkdir(exist_ok=True)
        origin = {"model": name, "version": version, "deployed_at": datetime.now(UTC).isoformat(timespec="seconds")}
        (staging / ORIGIN).write_text(json.dumps(origin), encoding="utf-8")
        while True:
            number = max(_numbers(base), default=0) + 1
            try:
                staging.rename(base / str(number))
            except OSError as error:  # a concurrent deployment took the number
                if error.errno not in _OCCUPIED:
                    raise
            else:
                return number
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _numbers(base: Path) -> list[int]:
    with _explained(base):
        names = [path.name for path in base.iterdir() if path.is_dir()] if base.exists() else []
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def _origin(folder: Path) -> tuple[str, str] | None:
    try:
        known = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
        return known["model"], known["version"]
    except (OSError, ValueError, KeyError):
        return None


def _hidden(base: Path) -> Path:
    return base / f".{uuid.uuid4().hex}"


def _touch(base: Path) -> None:
    """Record the time of the last successful poll, for the health check."""
    with _explained(base):
        base.mkdir(parents=True, exist_ok=True)
        (base / CHECKED).touch()


@contextlib.contextmanager
def _explained(base: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CannotDeploy(
            f"{base} cannot be written ({error.strerror or error}); name a writable folder: --to FOLDER."
        ) from error
