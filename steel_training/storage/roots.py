"""Which datasets and weights a run may read: those below the roots of the installation.

A dataset comes from a form, the API or an event; the worker that reads it has the site's credentials. With `STEEL_TRAINING_ROOTS`
(folders and `s3://` prefixes, separated by spaces) nothing else is opened. Without it a run may read what the worker may. Addresses
are normalised before they are compared, since there are several ways to write one.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path

from steel_training.environment import Environment
from steel_training.errors import UsageError


class OutsideOfRoots(UsageError):
    """An address is not below any of the roots."""


def require_below_roots(setting: str, uri: str) -> None:
    """Refuse an address outside of the roots.

    Args:
        setting: name of the setting that holds it, for the message.
        uri: folder, file or `s3://` URI; `..` and links are resolved first.

    Raises:
        OutsideOfRoots: it is not below any of the roots.
    """
    if roots := Environment.read().roots:
        require_below(roots, setting, uri)


def require_below(roots: Sequence[str], setting: str, uri: str) -> None:
    """Refuse an address outside of some roots, as `require_below_roots` does.

    Raises:
        OutsideOfRoots: it is not below any of them.
    """
    parts = _parts(uri)
    if not any(parts[: len(root)] == root for root in map(_parts, roots)):
        raise OutsideOfRoots(
            f"{setting} is '{uri}', which this installation does not read; expected something below {' or '.join(roots)} "
            f"(STEEL_TRAINING_ROOTS)."
        )


def _parts(uri: str) -> tuple[str, ...]:
    """Return the scheme and path components of an address, with `..` and links resolved."""
    if uri.startswith("s3://"):
        # A key may hold '..', which no reader follows; taken literally it could pass for one below a root.
        names = posixpath.normpath("/" + uri.removeprefix("s3://")).strip("/")
        return ("s3", *names.split("/"))
    return ("file", *Path(uri.removeprefix("file://")).resolve().parts)
