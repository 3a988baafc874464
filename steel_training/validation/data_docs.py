"""Data Docs that work offline: the pages of Great Expectations, made self-contained.

As rendered, they load styles, scripts and a logo with the project's id in its URL from third-party servers;
without those the pages are unstyled and the list of results on the first page is empty. Here the references are removed,
a small stylesheet is added, and the first page is replaced: every expectation with its message, and links to the rest.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from html import escape
from pathlib import Path

from steel_training.validation.outcome import ExpectationOutcome

DOCS = "data_docs"
"""Folder of the site, in that of a stage."""

_REMOTE = re.compile(
    r"<script\b[^>]*\bsrc=\"https?://[^>]*>\s*</script>"
    r"|<link\b[^>]*\bhref=\"https?://[^>]*>"
    r"|<img\b[^>]*\bsrc=\"https?://[^>]*>"
    r"|<footer\b.*?</footer>"
    r"|url\(['\"]?https?://[^)]*\)",
    re.DOTALL,
)

STYLES = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2733; background: #fff; margin: 0 auto; max-width: 1200px;
       padding: 1.5rem; }
a { color: #0b5cad; } h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2, h5 { font-size: 1.1rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
th, td { border-bottom: 1px solid #d9dfe6; padding: .4rem .6rem; text-align: left; vertical-align: top; }
th { background: #f2f5f8; } td p { margin: 0; } code { font-size: .9em; white-space: nowrap; }
.navbar, .alert { padding: 0 !important; height: auto !important; } .navbar ol { display: flex; gap: 1rem; }
.breadcrumb, .nav { list-style: none; padding: 0 !important; margin: 0; }
.card, .modal, [data-toggle=collapse] { border: 0; } .card:has([name=options]), .modal { display: none; }
.sticky { position: static; } .alert { border-bottom: 2px solid #1d2733; margin-bottom: .5rem; }
.fa-times::before, .fa-exclamation-triangle::before { content: "✗"; color: #b42318; font-style: normal; font-weight: 700; }
.fa-check-circle::before { content: "✓"; color: #157347; font-style: normal; font-weight: 700; }
.badge { display: inline-block; border-radius: .75rem; padding: 0 .6rem; color: #fff; white-space: nowrap; }
.ok { background: #157347; } .critical { background: #b42318; } .warning { background: #8a5a00; }
.none { background: #5b6875; }
"""


def finish(site: Path, outcomes: Sequence[ExpectationOutcome], *, success: bool) -> Path:
    """Make the rendered site self-contained, and return the path of its new first page."""
    shutil.rmtree(site / "static", ignore_errors=True)
    for page in site.rglob("*.html"):
        page.write_text(_REMOTE.sub("", page.read_text(encoding="utf-8")), encoding="utf-8")
    index = site / "index.html"
    pages = sorted(page.relative_to(site).as_posix() for page in site.rglob("*.html") if page != index)
    index.write_text(_first_page(outcomes, pages, success=success), encoding="utf-8")
    return index


def link_page(site: Path, page: str, title: str) -> Path:
    """Add a link to another page at the top of the first page, and return the path of the first page."""
    index = site / "index.html"
    head = "</h1>"
    text = index.read_text(encoding="utf-8")
    index.write_text(
        text.replace(head, f'{head}<p><a href="{escape(page)}">{escape(title)}</a></p>', 1), encoding="utf-8"
    )
    return index


def _first_page(outcomes: Sequence[ExpectationOutcome], pages: Sequence[str], *, success: bool) -> str:
    verdict = "The dataset passed; training may start." if success else "The dataset is blocked."
    rows = "\n".join(
        f"<tr><td>{_badge(outcome)}</td><td><code>{escape(outcome.code)}</code></td><td>{escape(outcome.title)}</td>"
        f"<td>{escape(outcome.observed)}</td><td>{escape(outcome.expected)}</td><td>{escape(outcome.message)}</td></tr>"
        for outcome in sorted(outcomes, key=_failures_first)
    )
    links = "\n".join(f'<li><a href="{escape(page)}">{escape(_page_title(page))}</a></li>' for page in pages)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Data validation</title><style>{STYLES}</style></head><body>
<h1>Data validation</h1><p>{verdict}</p>
<table><thead><tr><th>Result</th><th>Code</th><th>Expectation</th><th>Found</th><th>Expected</th><th>What to do</th></tr></thead>
<tbody>{rows}</tbody></table>
<h2>Pages of Great Expectations</h2><ul>{links}</ul>
</body></html>
"""


def _badge(outcome: ExpectationOutcome) -> str:
    if outcome.success is None:
        return '<span class="badge none">not judged</span>'
    kind = "ok" if outcome.success else outcome.severity
    return f'<span class="badge {kind}">{kind}</span>'


def _failures_first(outcome: ExpectationOutcome) -> int:
    if outcome.success is None:
        return 2
    return 3 if outcome.success else ("critical", "warning").index(outcome.severity)


def _page_title(page: str) -> str:
    kind, name, *_ = page.split("/")
    return f"{'Results' if kind == 'validations' else 'Suite'}: {name.removesuffix('.html')}"
