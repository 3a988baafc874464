"""What the page sends: an answer, or that the last one is taken back."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from steel_training.labels.answers import Said
from steel_training.labels.review.review import AnswerRefused, Review
from steel_training.storage.json_types import Json

LARGEST = 10_000
"""Bytes of a message."""


class Undo(BaseModel):
    """The last answer is taken back.

    Attributes:
        confirmation: that the page was made for this person; empty where the address proves it.
    """

    confirmation: str | None = None


class Given(Undo):
    """An answer.

    Attributes:
        name: of the patch, as the page got it.
        said: the answer.
        seconds: between showing the patch and the answer.
    """

    name: str
    said: Literal["defective", "clean", "cannot_tell"]
    seconds: float = Field(ge=0, allow_inf_nan=False)


def read_message(body: bytes, kind: type[Given | Undo]) -> Given | Undo:
    """Read a message.

    Raises:
        AnswerRefused: it is not one of the page.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError:
        raise AnswerRefused("This was not sent by the page; nothing was recorded. Reload the page.") from None


def record(review: Review, message: Given | Undo, by: str) -> dict[str, Json]:
    """Record what a person answered, and return the next patches.

    Raises:
        AnswerRefused: it cannot be recorded.
        AnswersBusy: the store was being written by others.
        AnswerInvalid: an answer in the store was edited by hand.
    """
    if isinstance(message, Given):
        return review.answer(message.name, Said(message.said), message.seconds, by)
    return review.undo(by)
