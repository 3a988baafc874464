"""The signed confirmation that a move of the champion needs, so that no other page can act in a person's name (CSRF).

A form carries it, made for this person and this move: from which champion, to which version. Another site can make a browser
send a form, but it cannot read this page to learn the confirmation. Files of the store are served without this page's origin
(see `files`), so they cannot either.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

from airflow.api_fastapi.auth.tokens import get_signing_key
from fastapi import Request
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from models_page.access import NotAllowed, Person

GOOD_FOR_SECONDS = 3600
_SALT = "steel-training champion"


class ConsentMissing(NotAllowed):
    """The person has not confirmed this move on this page."""


@dataclass(frozen=True)
class Move:
    """The move that is confirmed.

    Attributes:
        action: `promote` or `rollback`.
        name: of the model.
        version: the new champion.
        champion: the champion when the page was shown; None before the first.
    """

    action: str
    name: str
    version: str
    champion: str | None


def ask(person: Person, move: Move) -> str:
    """Return the confirmation that the form has to send back."""
    return _signer().dumps([person.user_id, *astuple(move)])


def given(request: Request, person: Person, action: str, confirmation: str, confirmed: str) -> Move:
    """Return the move that a person confirmed.

    Args:
        request: of the move.
        person: who sends it.
        action: of the route.
        confirmation: of the form.
        confirmed: `yes` if the box is ticked.

    Raises:
        ConsentMissing: the form comes from elsewhere, is another person's, too old, or its box is not ticked.
    """
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise ConsentMissing("This form was sent by another site; nothing was changed.")
    try:
        user_id, *move = _signer().loads(confirmation, max_age=GOOD_FOR_SECONDS)
    except SignatureExpired:
        raise ConsentMissing(
            "The page was open for more than an hour; reload it and check before you decide."
        ) from None
    except (BadSignature, TypeError, ValueError):
        raise ConsentMissing("This form was not made by this page; nothing was changed.") from None
    agreed = Move(*move)
    if user_id != person.user_id or agreed.action != action:
        raise ConsentMissing("This form was made for another person or action; nothing was changed.")
    if confirmed != "yes":
        raise ConsentMissing("Tick the box to confirm; nothing was changed.")
    return agreed


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(get_signing_key("api", "secret_key"), salt=_SALT)
