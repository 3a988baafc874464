"""A reason's message is one line that a person can read, whatever a dataset calls its patches."""

from __future__ import annotations

import logging

import pytest

from steel_training.cli import _OneLine
from steel_training.verdict import LONGEST_MESSAGE, Reason, printable

FORGED = "p1\n12:00:00 verdict: published\r\x1b[2K\u2028\u202ex\x00\x85"


def test_control_characters_are_escaped() -> None:
    assert printable(FORGED) == r"p1\n12:00:00 verdict: published\r\x1b[2K\u2028\u202ex\x00\x85"
    assert printable("Größe 5 µm – Spule „A“\u00a0") == "Größe 5 µm – Spule „A“\u00a0"


def test_a_reason_is_one_line_of_bounded_length() -> None:
    reason = Reason("data.duplicate_ids", f"twice: {FORGED}")
    assert len(reason.message.splitlines()) == 1
    assert Reason.from_dict({"code": "x", "message": FORGED}).message == printable(FORGED)
    assert len(Reason("x", "p" * 30_000_000).message) == LONGEST_MESSAGE
    assert Reason("x", "p" * 30_000_000).message.endswith("…")


@pytest.mark.parametrize("words", [("%s", FORGED), (f"{FORGED}",)])
def test_a_name_writes_no_log_line_of_its_own(words: tuple[str, ...]) -> None:
    record = logging.LogRecord("steel_training", logging.INFO, "", 0, words[0], words[1:], None)
    assert len(_OneLine("%(asctime)s %(message)s").format(record).splitlines()) == 1
