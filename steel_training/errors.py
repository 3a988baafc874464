"""Errors with the exit code that the command line answers with.

Each module derives its own classes from these, so that a caller can distinguish "you typed something wrong" (2) from
"something failed" (1) without reading the message.
"""


class SteelTrainingError(Exception):
    """Something failed. The message says what was found, what was expected, and what to do."""

    exit_code = 1


class UsageError(SteelTrainingError):
    """The request cannot work as written; the message says what to type instead."""

    exit_code = 2
