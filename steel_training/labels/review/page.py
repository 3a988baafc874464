"""The page on which a person answers: one file without external resources, and the same for every review.

What differs comes as JSON and is put in as text, so that no name in a dataset is ever read as HTML.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache
from pathlib import Path

_FILE = Path(__file__).with_name("page.html")


@lru_cache(maxsize=1)
def page() -> tuple[str, dict[str, str]]:
    """Return the HTML, and its headers: only its own style and script count, and only its own server is asked."""
    text = _FILE.read_text(encoding="utf-8")
    hashes = {
        tag: base64.b64encode(hashlib.sha256(found.group(1).encode()).digest()).decode()
        for tag in ("style", "script")
        if (found := re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL))
    }
    policy = (
        f"default-src 'none'; style-src 'sha256-{hashes['style']}'; script-src 'sha256-{hashes['script']}'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'none'; frame-ancestors 'self'; base-uri 'none'"
    )
    return text, {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


PICTURE_HEADERS = {
    # The page asks for pictures before they are shown.
    "Cache-Control": "private, max-age=3600",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
