"""Forks of a process that has loaded TensorFlow, for tests that need a process of their own."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext

import pytest


@pytest.fixture(scope="session")
def forks() -> ForkServerContext:
    """Starts processes in which TensorFlow is loaded, but not used yet; what they run must be importable."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["steel_training.training.replicated_fit", "steel_training.training.feature_cache"])
    return context
