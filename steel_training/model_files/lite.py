"""A LiteRT file has no custom operations: among those are TensorFlow's own, with which it could read and write files.

Read from the FlatBuffer itself, as little as that takes: the root table, its list of operator codes, and their names.
"""

from __future__ import annotations

import struct

_IDENTIFIER = b"TFL3"
_OPERATOR_CODES, _CUSTOM_CODE = 1, 1  # fields of the tables Model and OperatorCode
_MOST_CODES = 10_000


def objection(data: bytes) -> str | None:
    """Return why a LiteRT file must not be loaded, as the end of a sentence about it; `None` where it may be."""
    if data[4:8] != _IDENTIFIER:
        return "cannot be read: it is damaged, or not a LiteRT file"
    try:
        custom = _custom(data)
    except (struct.error, ValueError) as error:
        return f"cannot be read: it is damaged ({error})"
    if custom is None:
        return None
    return f"holds the custom operation {custom.decode('utf-8', 'replace')}; this program's exports hold built-in ones only"


def _custom(data: bytes) -> bytes | None:
    """Return the name of the first custom operation; `None` where there is none."""
    codes = _field(data, _offset(data, 0), _OPERATOR_CODES)
    if codes is None:
        return None
    vector = _offset(data, codes)
    (count,) = struct.unpack_from("<I", data, vector)
    if count > _MOST_CODES:
        raise ValueError(f"{count} operator codes")
    for number in range(count):
        table = _offset(data, vector + 4 + 4 * number)
        name = _field(data, table, _CUSTOM_CODE)
        if name is not None:
            at = _offset(data, name)
            (length,) = struct.unpack_from("<I", data, at)
            return data[at + 4 : at + 4 + min(length, 200)]
    return None


def _offset(data: bytes, at: int) -> int:
    """Follow an offset, which counts from its own place."""
    (distance,) = struct.unpack_from("<I", data, at)
    return at + int(distance)


def _field(data: bytes, table: int, number: int) -> int | None:
    """Return where a field of a table stands; `None` where the table does not have it."""
    (back,) = struct.unpack_from("<i", data, table)
    fields = table - back
    if fields < 0:
        raise ValueError("a table outside the file")
    (size,) = struct.unpack_from("<H", data, fields)
    at = 4 + 2 * number
    if at + 2 > size:
        return None
    (distance,) = struct.unpack_from("<H", data, fields + at)
    return table + distance if distance else None
