"""CSV files that come with source images."""

from __future__ import annotations

import pandas as pd

from steel_training.data.tables import read_table
from steel_training.errors import UsageError
from steel_training.storage import ObjectNotFound, open_storage


class TableInvalid(UsageError):
    """A CSV file is missing, is not a table, or lacks a column."""


def read_csv(address: str, columns: tuple[str, ...], *, known: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a CSV file as text, empty cells as empty strings.

    Args:
        address: file or `s3://bucket/key`.
        columns: required columns.
        known: optional columns; used to detect the separator.

    Raises:
        TableInvalid: it does not exist, is not a table, or lacks a column.
    """
    folder, slash, name = address.rpartition("/")
    try:
        data = open_storage(folder or slash or ".").read(name)
    except ObjectNotFound:
        raise TableInvalid(f"{address} does not exist; expected a CSV file with {', '.join(columns)}.") from None
    try:
        table = read_table(data, (*columns, *known), dtype=str, keep_default_na=False)
    except ValueError as error:
        raise TableInvalid(f"{address} cannot be read as CSV: {error}.") from None
    missing = [column for column in columns if column not in table]
    if missing:
        raise TableInvalid(
            f"{address} has no column {', '.join(missing)}; found {', '.join(map(str, table.columns)) or 'none'}."
        )
    return table
