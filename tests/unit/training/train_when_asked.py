"""Trains a head in a fork of itself each time it is asked, so that TensorFlow is loaded once; run by `test_monitoring.py`.

python train_when_asked.py SOCKET

A request on the socket is the folder of the patches with two file descriptors, the standard output and error of the fork; the
answer is its exit status.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from pathlib import Path

import numpy as np
from test_monitoring import SETTINGS, parts_of

from steel_training.config import load_config
from steel_training.training.feature_cache import FeatureCache
from steel_training.training.model_trainer import ModelTrainer, TransferLearningModel


def train_head(folder: Path) -> None:
    """Trains as a stage does: log lines on standard error, one line of JSON on standard output."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    config = load_config(overrides=SETTINGS)
    train, val = parts_of(folder / "patches", (np.arange(144) % 3 == 0).astype(int))
    trainer = ModelTrainer(config, train, val, cache=FeatureCache(folder / "cache"))
    trained = trainer.train_head(TransferLearningModel.build(config.model, 32))
    sys.stdout.write(json.dumps({"epochs": len(trained.history["loss"])}) + "\n")
    sys.stdout.flush()


requests = socket.socket(fileno=int(sys.argv[1]))
while True:
    folder, streams, _, _ = socket.recv_fds(requests, 4096, 2)
    if not folder:
        break
    if (child := os.fork()) == 0:
        for stream, place in zip(streams, (1, 2), strict=True):
            os.dup2(stream, place)
            os.close(stream)
        train_head(Path(folder.decode()))
        sys.exit()
    for stream in streams:
        os.close(stream)
    requests.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())
