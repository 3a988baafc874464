"""Signed addresses, so that links within a page of the store work without a login cookie.

A page of the store is shown without this server's origin, so a browser sends no cookie where its links lead. The address that it
is shown at carries a signed token instead: for the files of one run or one version, for reading, for an hour.
"""

from __future__ import annotations

from airflow.api_fastapi.auth.tokens import get_signing_key
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from steel_training.errors import SteelTrainingError

GOOD_FOR_SECONDS = 3600
_SALT = "steel-training files"
_DEPTH = {"runs": 2, "models": 4}  # runs/RUN, models/NAME/versions/VERSION


class TokenRefused(SteelTrainingError):
    """A token has expired, was not issued here, or is for other files."""


def issue(key: str) -> str:
    """Return a token for a file and those that belong to the same run or version."""
    parts = key.split("/")
    return _signer().dumps("/".join(parts[: min(_DEPTH[parts[0]], len(parts) - 1)]))


def check(given: str, key: str) -> None:
    """Check that a token covers a key.

    Raises:
        TokenRefused: it does not.
    """
    try:
        scope = _signer().loads(given, max_age=GOOD_FOR_SECONDS)
    except SignatureExpired:
        raise TokenRefused("This page was open for more than an hour. Open it again from the models page.") from None
    except BadSignature:
        raise TokenRefused("This address was not made by this page. Open the file from the models page.") from None
    if not key.startswith(f"{scope}/"):
        raise TokenRefused("This file belongs to another run. Open it from the models page.")


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(get_signing_key("api", "secret_key"), salt=_SALT)
