"""Which source images belong together (coil, tile or strip), from the file name or from a table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from steel_training.data.columns import REQUIRED_COLUMNS
from steel_training.errors import UsageError
from steel_training.ingest.csv_tables import read_csv
from steel_training.ingest.problems import first_ten
from steel_training.ingest.source_images import SUFFIXES, composed

_MADE_BY_INGEST = frozenset({*REQUIRED_COLUMNS, "x", "y", "defect_type"}) - {"source_id"}


class GroupingInvalid(UsageError):
    """The expression or the table does not give the group of every image."""


@dataclass(frozen=True)
class Grouping:
    """Metadata of every image, `group_id` among it; empty where an image is its own group.

    Example:
        >>> by_name = grouping(["coil7_01", "coil7_02"], regex="^(coil[0-9]+)_")
        >>> by_name.metadata("coil7_02")
        {'group_id': 'coil7'}
    """

    columns: Mapping[str, Mapping[str, str]]

    def metadata(self, source_id: str) -> Mapping[str, str]:
        """Return the columns that all patches of an image share."""
        return self.columns.get(source_id, {})


def grouping(sources: Iterable[str], *, regex: str | None = None, table: str | None = None) -> Grouping:
    """Return the group of every image.

    Args:
        sources: names of the images (path below their folder, without suffix).
        regex: expression searched in the name; its first group in parentheses, or the whole match, is the group.
        table: CSV (a file or `s3://` URI) with the columns `source_id` and `group_id`. Further columns, such as
            `line` and `captured_at`, become columns of the manifest. Names may carry the file's suffix.

    Raises:
        GroupingInvalid: both are given, the expression is invalid, or an image has no group.
        TableInvalid: the table cannot be read or lacks a column.
    """
    if regex and table:
        raise GroupingInvalid("Groups come from --group-regex or from --groups, not from both; leave one out.")
    if regex:
        return Grouping({source: {"group_id": group} for source, group in _by_name(sources, regex)})
    if table:
        return Grouping(_by_table(list(sources), table))
    return Grouping({})


def _by_name(sources: Iterable[str], regex: str) -> Iterable[tuple[str, str]]:
    try:
        pattern = re.compile(regex)
    except re.error as error:
        raise GroupingInvalid(f"--group-regex {regex!r} is not a valid regular expression: {error}.") from None
    nameless = []
    for source in sources:
        found = pattern.search(source)
        group = (found.group(1) if pattern.groups else found.group(0)) if found else None
        if group:
            yield source, group
        else:
            nameless.append(source)
    if nameless:
        raise GroupingInvalid(
            f"--group-regex {regex!r} finds no group in {len(nameless):,} images: {first_ten(map(repr, nameless))}. "
            "Every name must match, as 'coil7_0001' matches '^(coil[0-9]+)_'."
        )


def _by_table(sources: list[str], address: str) -> dict[str, dict[str, str]]:
    table = read_csv(address, ("source_id", "group_id"))
    forbidden = sorted(_MADE_BY_INGEST & set(table.columns))
    if forbidden:
        raise GroupingInvalid(
            f"{address} has the column {', '.join(forbidden)}, which ingest writes itself. Rename or drop it."
        )
    known: dict[str, dict[str, str]] = {}
    twice = []
    for row in table.to_dict("records"):
        source = str(row.pop("source_id"))
        columns = {str(column): str(value) for column, value in row.items()}
        if known.setdefault(composed(source), columns) != columns:
            twice.append(source)
    if twice:
        raise GroupingInvalid(
            f"{address} has contradicting rows for {len(twice):,} images: {first_ten(map(repr, twice))}. Keep one row for each."
        )
    found, nameless = {}, []
    for source in sources:
        plain = composed(source)
        name = next((name for name in (plain, *(plain + suffix for suffix in SUFFIXES)) if name in known), None)
        if name is None or not known[name]["group_id"].strip():
            nameless.append(source)
        else:
            found[source] = known[name]
    if nameless:
        raise GroupingInvalid(
            f"{address} has no group for {len(nameless):,} of {len(sources):,} images: {first_ten(map(repr, nameless))}. "
            "Expected a row 'source_id,group_id' for every image."
        )
    return found
