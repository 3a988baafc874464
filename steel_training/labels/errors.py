"""Why labels cannot be audited."""

from __future__ import annotations

from steel_training.errors import UsageError


class CannotAudit(UsageError):
    """There is too little data to audit its labels, or its features say nothing about them; the message says what is missing."""
