"""Runs a command of `steel-training`, killed before the nth patch is encoded or the nth object is sent to S3; else prints how many were.

python ingest_until_killed.py encoded|sent N WORD…
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from steel_training.cli import main

what, number, words = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
seen = {"encoded": 0, "sent": 0}


def count(event: str, details: tuple[Any, ...]) -> None:
    """Counts, and kills this process when it is time."""
    if event == "os.rename" and str(details[0]).endswith(".part"):
        done = "encoded"
    elif event == "http.client.send" and bytes(details[1][:4]) == b"PUT ":
        done = "sent"
    else:
        return
    seen[done] += 1
    if done == what and seen[done] == number:
        os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(count)
assert main(words) == 0
sys.stdout.write(f"{seen['encoded']} {seen['sent']}\n")
