"""Building blocks of the report: sections of text, tables, charts and pictures. The templates render these."""

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
    """A table; the first cell of each row is its heading. An empty `caption` is not shown."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: bool = True
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Figure:
    """A chart: an inline SVG with a caption."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Figures:
    """Charts, side by side where there is room."""

    figures: Sequence[Figure]
    kind: str = field(default="figures", init=False)


@dataclass(frozen=True)
class Picture:
    """A patch and an optional second picture beside it, as PNG bytes; `beside` is the alternative text of the second."""

    patch: bytes
    overlay: bytes | None
    alt: str
    lines: Sequence[str]
    beside: str = ""

    @property
    def uris(self) -> list[tuple[str, str]]:
        """Data URIs, each with its alternative text."""
        shown = [(self.patch, self.alt)]
        if self.overlay is not None:
            shown.append((self.overlay, self.beside))
        return [("data:image/png;base64," + base64.b64encode(png).decode(), alt) for png, alt in shown]


@dataclass(frozen=True)
class Gallery:
    """Pictures in a grid."""

    pictures: Sequence[Picture]
    kind: str = field(default="gallery", init=False)


@dataclass(frozen=True)
class Half:
    """One patch of a pair.

    Attributes:
        png: the image, as PNG bytes.
        badge: what conflicts within the pair: the split, or the label, of this patch.
        lines: further facts about the patch.
        frame: the region that both patches show: top, left, bottom, right, as fractions of the image.
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
        """CSS position of the frame; empty without one."""
        if self.frame is None:
            return ""
        top, left, bottom, right = (100 * float(share) for share in self.frame)
        return f"top:{top:.1f}%;left:{left:.1f}%;width:{right - left:.1f}%;height:{bottom - top:.1f}%"


@dataclass(frozen=True)
class SideBySide:
    """A pair of patches; `how` says how they are related."""

    how: str
    halves: Sequence[Half]


@dataclass(frozen=True)
class Pairs:
    """Pairs of patches."""

    pairs: Sequence[SideBySide]
    kind: str = field(default="pairs", init=False)


@dataclass(frozen=True)
class Heading:
    """A subheading within a section."""

    text: str
    kind: str = field(default="heading", init=False)


@dataclass(frozen=True)
class Code:
    """Preformatted text: a command or a file."""

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
    """Blocks that are collapsed until opened."""

    summary: str
    blocks: Sequence[Block]
    kind: str = field(default="details", init=False)


Block = Text | Heading | Table | Figures | Gallery | Pairs | Code | Link | Details


@dataclass(frozen=True)
class Section:
    """A titled list of blocks; `anchor` is its id in the page."""

    anchor: str
    title: str
    blocks: Sequence[Block]
