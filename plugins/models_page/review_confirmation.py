"""The signed confirmation that an answer about a label needs, so that no other page can answer in a person's name (CSRF)."""

from __future__ import annotations

from airflow.api_fastapi.auth.tokens import get_signing_key
from fastapi import Request
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from models_page.access import NotAllowed, Person

GOOD_FOR_SECONDS = 12 * 3600
"""A shift, and what is left of it."""
_SALT = "steel-training review of labels"


def ask(person: Person, run_id: str, mode: str) -> str:
    """Return the confirmation that the page has to send with every answer."""
    return _signer().dumps([person.user_id, run_id, mode])


def require(request: Request, person: Person, run_id: str, mode: str, confirmation: str) -> None:
    """Refuse an answer that was not given on this person's page.

    Raises:
        NotAllowed: it comes from elsewhere, or the page is another person's or too old.
    """
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise NotAllowed("This answer was sent by another site; nothing was recorded.")
    try:
        given = _signer().loads(confirmation, max_age=GOOD_FOR_SECONDS)
    except SignatureExpired:
        raise NotAllowed("The page was open for more than 12 hours; nothing was recorded. Reload it.") from None
    except BadSignature:
        raise NotAllowed("This answer was not sent by the page; nothing was recorded. Reload it.") from None
    if given != [person.user_id, run_id, mode]:
        raise NotAllowed("The page was opened for another person or run; nothing was recorded. Reload it.")


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(get_signing_key("api", "secret_key"), salt=_SALT)
