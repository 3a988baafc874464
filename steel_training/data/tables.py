"""CSV files as spreadsheets write them: separator and encoding are read off the file, and what cannot be is named."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable
from typing import Any

import pandas as pd

SEPARATORS = (",", ";", "\t")

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_table(data: bytes, columns: Iterable[str], **options: Any) -> pd.DataFrame:
    """Read a CSV file: UTF-8 or UTF-16, with a byte order mark or without, separated by commas, semicolons or tabs.

    Args:
        data: the file.
        columns: expected ones; used to detect the separator.
        options: of `pandas.read_csv`.

    Raises:
        ValueError: not such text, or not a table. The message names the cause, and what to do if it is the encoding.
    """
    encoding = _encoding(data)
    text = _decode(data, encoding)
    separator = _separator(text, set(columns))
    if encoding.startswith("utf-16") and not _named(text, separator, set(columns)):
        raise ValueError(
            "its first bytes are those of UTF-16, but its header names none of the columns: it is damaged, or not text"
        )
    table: pd.DataFrame = pd.read_csv(io.BytesIO(data), sep=separator, encoding=encoding, **options)
    return table


def _encoding(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    # A header begins with ASCII: in UTF-16 every other byte of it is zero.
    return {b"\0": "utf-16-be"}.get(data[:1]) or {b"\0": "utf-16-le"}.get(data[1:2], "utf-8")


def _decode(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"line {line} holds the byte 0x{data[error.start]:02X}, which is not {encoding.removesuffix('-sig').upper()}: the file seems to "
            "be in an encoding of an older spreadsheet, such as cp1252 or GBK, which does not say which it is. Save it as 'CSV UTF-8'"
        ) from None


def _separator(text: str, columns: set[str]) -> str:
    """Return the separator with which the header has most of the columns; the comma where none is better."""
    return max(SEPARATORS, key=lambda separator: len(_named(text, separator, columns)))


def _named(text: str, separator: str, columns: set[str]) -> set[str]:
    """Return those of the columns that the header names."""
    header = next(iter(text.splitlines()), "").lstrip("\ufeff")
    return columns & {name.strip().strip('"') for name in header.split(separator)}
