"""What a report is made of: sections of a few kinds of blocks. The template knows these and nothing of steel."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Text:
    """A paragraph; `tone` is empty, `warn` or `bad`."""

    text: str
    tone: str = ""
    kind: str = field(default="text", init=False)


@dataclass(frozen=True)
class Table:
    """Rows of cells, the first of each its heading. `caption` is read aloud and shown above; empty hides it."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: bool = True
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Figure:
    """An inline SVG of our own, with a caption."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Figures:
    """Figures side by side where there is room."""

    figures: Sequence[Figure]
    kind: str = field(default="figures", init=False)


@dataclass(frozen=True)
class Picture:
    """A patch and, where there is one, the same patch with what the model looked at: PNG bytes."""

    patch: bytes
    overlay: bytes | None
    alt: str
    lines: Sequence[str]

    @property
    def uris(self) -> list[tuple[str, str]]:
        """Data URIs, and what each shows."""
        shown = [(self.patch, self.alt)]
        if self.overlay is not None:
            shown.append((self.overlay, f"{self.alt}, with what the model looked at"))
        return [("data:image/png;base64," + base64.b64encode(png).decode(), alt) for png, alt in shown]


@dataclass(frozen=True)
class Gallery:
    """Pictures."""

    pictures: Sequence[Picture]
    kind: str = field(default="gallery", init=False)


@dataclass(frozen=True)
class Code:
    """Text as it is to be typed or as it stands in a file."""

    text: str
    kind: str = field(default="code", init=False)


@dataclass(frozen=True)
class Link:
    """A link to a file beside the report."""

    href: str
    text: str
    kind: str = field(default="link", init=False)


@dataclass(frozen=True)
class Details:
    """Blocks that are folded away until asked for."""

    summary: str
    blocks: Sequence[Block]
    kind: str = field(default="details", init=False)


Block = Text | Table | Figures | Gallery | Code | Link | Details


@dataclass(frozen=True)
class Section:
    """A heading, what is under it, and the name that the list of contents leads by."""

    anchor: str
    title: str
    blocks: Sequence[Block]
