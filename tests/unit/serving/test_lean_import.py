"""Optional packages are hidden for one import, and are there before and after."""

from __future__ import annotations

import importlib
import json
import sys

import pytest

from steel_training.serving.lean_import import without


def test_hidden_package_is_missing_in_the_block_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    with without("this"), pytest.raises(ModuleNotFoundError):
        importlib.import_module("this")
    assert importlib.import_module("this").__name__ == "this"


def test_package_that_is_loaded_already_is_not_hidden() -> None:
    with without("json"):
        assert importlib.import_module("json") is json
    assert sys.modules["json"] is json
