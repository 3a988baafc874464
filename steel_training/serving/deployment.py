"""Puts the champion where TensorFlow Serving looks: BASE/1/saved_model.pb, BASE/2/saved_model.pb and so on.

TensorFlow Serving loads the highest number that it sees, as soon as it sees it, so a number appears by a rename.
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
# The SavedModel format's own place for what is not TensorFlow's.
ORIGIN = Path("assets.extra", "steel_training.json")
CHECKED = ".checked"
_OCCUPIED = {errno.EEXIST, errno.ENOTEMPTY}


class CannotDeploy(SteelTrainingError):
    """The folder cannot be written."""


@dataclass(frozen=True)
class Deployed:
    """The number under which a version stands, and whether it was placed just now."""

    number: int
    version: str
    placed: bool


def deploy(registry: Registry, base: Path) -> Deployed:
    """Places the champion's SavedModel as the next number, unless the highest number is that version already.

    Args:
        registry: of the model.
        base: folder that TensorFlow Serving reads as the model's base path; made where there is none.

    Returns:
        Which number holds the champion now. The last `KEPT` numbers stay, earlier ones are removed.

    Raises:
        VersionNotFound: there is no champion.
        VersionDamaged: it is not what was published; nothing was placed.
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
    """Deploys every new champion, for ever. What goes wrong is logged and tried again; what stands there stays."""
    while True:
        try:
            deployed = deploy(registry, base)
            if deployed.placed:
                log.info("%s is version %s", base / str(deployed.number), deployed.version)
        except VersionNotFound as error:
            log.info("%s", error)
            with contextlib.suppress(CannotDeploy):
                _touch(base)  # waiting for the first champion is no failure
        except SteelTrainingError as error:
            log.warning("%s; what is deployed stays", error)
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
            except OSError as error:  # another deployment took the number
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
    """Leaves the time of the last look that succeeded, for a health check."""
    with _explained(base):
        base.mkdir(parents=True, exist_ok=True)
        (base / CHECKED).touch()


@contextlib.contextmanager
def _explained(base: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CannotDeploy(
            f"{base} cannot be written ({error.strerror or error}); name a folder that can: --to FOLDER."
        ) from error
