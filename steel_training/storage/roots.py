"""What a person who may trigger a run may have read: datasets and weights below the roots that the installation names.

A dataset is typed into a form, sent to the API, or told by an event; the worker that reads it has the mill's credentials. With
`STEEL_TRAINING_ROOTS` (folders and `s3://` prefixes, separated by spaces) nothing else is opened. Without it a run may read what the worker may.
The configuration is judged as it was read, since there are several ways to write one.
"""

from __future__ import annotations

import posixpath
from pathlib import Path

from steel_training.environment import Environment
from steel_training.errors import UsageError


class OutsideOfRoots(UsageError):
    """An address lies below none of the roots."""


def require_below_roots(setting: str, uri: str) -> None:
    """Refuses an address outside of the roots.

    Args:
        setting: that holds it, for the message.
        uri: folder, file or `s3://` URI; `..` and links are followed before it is judged.

    Raises:
        OutsideOfRoots: it is below none of the roots.
    """
    roots, parts = Environment.read().roots, _parts(uri)
    if roots and not any(parts[: len(root)] == root for root in map(_parts, roots)):
        raise OutsideOfRoots(
            f"{setting} is '{uri}', which this installation does not read; expected something below {' or '.join(roots)} "
            f"(STEEL_TRAINING_ROOTS)."
        )


def _parts(uri: str) -> tuple[str, ...]:
    """Returns the address as a scheme and names, with nothing left that leads elsewhere."""
    if uri.startswith("s3://"):
        # A key may hold '..', which no reader follows; taken literally it would still look as if it were below.
        names = posixpath.normpath("/" + uri.removeprefix("s3://")).strip("/")
        return ("s3", *names.split("/"))
    return ("file", *Path(uri.removeprefix("file://")).resolve().parts)
