"""Renders sections as HTML: the Jinja templates, and pages other than the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jinja2

from steel_training.report.blocks import Section


def templates() -> jinja2.Environment:
    """Return the Jinja environment of the report, with autoescaping."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_page(title: str, sections: Sequence[Section], *, back: str = "index.html") -> str:
    """Render sections as a separate page in the style of the report; `back` is the target of its back link."""
    page: str = templates().get_template("page.html.j2").render(title=title, sections=sections, back=back)
    return page
