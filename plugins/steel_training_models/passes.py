"""Passes: what a page of the store may be followed by, when its links bring no login along.

A page of the store is shown without this server's origin, so a browser sends no cookie where its links lead. The address that it
is shown at carries a pass instead: signed, for the files of one run or one version, for reading, for an hour.
"""

from __future__ import annotations

from airflow.api_fastapi.auth.tokens import get_signing_key
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from steel_training.errors import SteelTrainingError

GOOD_FOR_SECONDS = 3600
_SALT = "steel-training files"
_DEPTH = {"runs": 2, "models": 4}  # runs/RUN, models/NAME/versions/VERSION


class PassRefused(SteelTrainingError):
    """A pass has run out, is none of ours, or is for other files."""


def issue(key: str) -> str:
    """Returns a pass for a file and those that belong to the same run or version."""
    parts = key.split("/")
    return _signer().dumps("/".join(parts[: min(_DEPTH[parts[0]], len(parts) - 1)]))


def check(given: str, key: str) -> None:
    """Lets a key pass.

    Raises:
        PassRefused: the pass is not for it.
    """
    try:
        scope = _signer().loads(given, max_age=GOOD_FOR_SECONDS)
    except SignatureExpired:
        raise PassRefused("This page was open for more than an hour. Open it again from the models page.") from None
    except BadSignature:
        raise PassRefused("This address was not made by this page. Open the file from the models page.") from None
    if not key.startswith(f"{scope}/"):
        raise PassRefused("This file belongs to another run. Open it from the models page.")


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(get_signing_key("api", "secret_key"), salt=_SALT)
