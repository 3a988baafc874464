"""Parses XML, which is untrusted input: entity declarations are refused, so that nothing expands or is fetched."""

from __future__ import annotations

import re
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from steel_training.ingest.annotations import AnnotationInvalid

MAX_BYTES = 4 << 20
_ENCODING = re.compile(rb"""\s*<\?xml[^>]*?\bencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_PROLOGUE = 200


def parse_xml(data: bytes, address: str, *, max_bytes: int = MAX_BYTES) -> Element:
    """Parse an XML file, in UTF-8, UTF-16 or the encoding that it declares.

    Raises:
        AnnotationInvalid: not well-formed, larger than `max_bytes`, or it declares entities.
    """
    if len(data) > max_bytes:
        raise AnnotationInvalid(f"{address} has {len(data):,} bytes; at most {max_bytes:,} are read.")

    def refuse(*_: object) -> NoReturn:
        raise AnnotationInvalid(f"{address} declares entities, which annotations do not need; it is not read.")

    def parsed(text: bytes | str) -> Element:
        builder = TreeBuilder()
        parser = expat.ParserCreate()
        parser.EntityDeclHandler = refuse
        parser.StartElementHandler = builder.start
        parser.EndElementHandler = builder.end
        parser.CharacterDataHandler = builder.data
        parser.Parse(text, True)
        return builder.close()

    try:
        try:
            return parsed(data)
        except (ValueError, LookupError):
            # Expat reads single-byte encodings; Python knows gb2312 and its like.
            return parsed(_decoded(data, address))
    except expat.ExpatError as error:
        raise AnnotationInvalid(f"{address} is not well-formed XML: {error}.") from None


def _decoded(data: bytes, address: str) -> str:
    declared = _ENCODING.match(data[:_PROLOGUE])
    encoding = declared[1].decode("ascii") if declared else "utf-8"
    try:
        return data.decode(encoding)
    except (LookupError, ValueError) as error:
        raise AnnotationInvalid(
            f"{address} declares the encoding {encoding}, but cannot be decoded with it: {error}. Save it as UTF-8."
        ) from None
