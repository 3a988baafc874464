"""Reads JSON files of annotations against a declared form: whatever differs is named, with its place in the file."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from steel_training.ingest.annotations import AnnotationInvalid
from steel_training.ingest.problems import first_ten

Read = TypeVar("Read")
_MARK = b"\xef\xbb\xbf"

# A coordinate; JSON writers of Python let NaN and Infinity through.
Number = Annotated[float, Field(allow_inf_nan=False)]


class Form(BaseModel):
    """What must be in an object of the file; other keys are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def read_json(data: bytes, form: TypeAdapter[Read], address: str, *, expected: str) -> Read:
    """Read a JSON file.

    Args:
        data: the file, UTF-8 with or without a byte order mark.
        form: what it must hold.
        address: of the file, for messages.
        expected: what such a file is, for messages.

    Raises:
        AnnotationInvalid: not JSON, or of another form; the first ten differences are named.
    """
    try:
        return form.validate_json(data.removeprefix(_MARK))
    except ValidationError as error:
        found = [
            f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}" for one in error.errors(include_url=False)
        ]
        raise AnnotationInvalid(f"{address} is not {expected}: {first_ten(dict.fromkeys(found))}.") from None
