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
    """A patch and, where there is one, a second picture beside it: PNG bytes. `beside` says what the second shows."""

    patch: bytes
    overlay: bytes | None
    alt: str
    lines: Sequence[str]
    beside: str = ""

    @property
    def uris(self) -> list[tuple[str, str]]:
        """Data URIs, and what each shows."""
        shown = [(self.patch, self.alt)]
        if self.overlay is not None:
            shown.append((self.overlay, self.beside))
        return [("data:image/png;base64," + base64.b64encode(png).decode(), alt) for png, alt in shown]


@dataclass(frozen=True)
class Gallery:
    """Pictures."""

    pictures: Sequence[Picture]
    kind: str = field(default="gallery", init=False)


@dataclass(frozen=True)
class Half:
    """One patch of two.

    Attributes:
        png: the picture.
        badge: what is wrong about the two: their parts, or their labels.
        lines: what else it is.
        frame: the piece that the other shows as well: top, left, bottom, right, as shares of the picture.
    """

    png: bytes
    badge: str
    lines: Sequence[str]
    frame: tuple[float, float, float, float] | None = None

    @property
    def uri(self) -> str:
        """Data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()

    @property
    def place(self) -> str:
        """CSS that puts the frame over the picture; empty where there is none."""
        if self.frame is None:
            return ""
        top, left, bottom, right = (100 * float(share) for share in self.frame)
        return f"top:{top:.1f}%;left:{left:.1f}%;width:{right - left:.1f}%;height:{bottom - top:.1f}%"


@dataclass(frozen=True)
class SideBySide:
    """Two patches and what they have to do with each other."""

    how: str
    halves: Sequence[Half]


@dataclass(frozen=True)
class Pairs:
    """Pairs of patches."""

    pairs: Sequence[SideBySide]
    kind: str = field(default="pairs", init=False)


@dataclass(frozen=True)
class Heading:
    """Heads what follows inside a section."""

    text: str
    kind: str = field(default="heading", init=False)


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


Block = Text | Heading | Table | Figures | Gallery | Pairs | Code | Link | Details


@dataclass(frozen=True)
class Section:
    """A heading, what is under it, and the name that the list of contents leads by."""

    anchor: str
    title: str
    blocks: Sequence[Block]
