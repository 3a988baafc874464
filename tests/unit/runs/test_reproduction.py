"""The recorded command names everything that made a model; the part hash tells one test part from another."""

from __future__ import annotations

import shlex
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steel_training.config import Config, load_config
from steel_training.runs.reproduction import NEW_STORE, command, command_line, part_hash

STEEL = {"source": "steel", "detail": "", "random": False}


def parsed(line: str) -> Config:
    words = shlex.split(line)
    return load_config(overrides=[after for word, after in pairwise(words) if word == "--set"])


def test_the_defaults_need_only_the_weights_that_were_found() -> None:
    words = command("s3://steel/strips/2026-11-24", Config(), STEEL)
    assert words == [
        *("steel-training", "run", "s3://steel/strips/2026-11-24"),
        *("--store", NEW_STORE, "--set", "model.weights=steel"),
    ]


NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True) | st.sampled_from(
    ["1e5", "nan", "null", "12", "no"]
)
SHARES = st.none() | st.floats(0, 1)


@given(
    name=NAMES,
    recall=SHARES,
    rate=st.floats(1e-12, 1),
    seed=st.integers(0, 2**31 - 1),
    layer=st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=30),
    flips=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_reproduce_command_restores_the_configuration(name, recall, rate, seed, layer, flips) -> None:
    config = load_config(
        overrides={
            "model.name": name,
            "model.flips": flips,
            "gate.recall": recall,
            "training.head.learning_rate": rate,
            "training.fine_tune.from_layer": layer,
            "data.seed": seed,
            "publish.promote": False,
        }
    )
    again = parsed(command_line(command("/data/day one; rm -rf /", config, {"source": "auto"})))
    assert again.fingerprint() == config.fingerprint()


@pytest.mark.parametrize(
    ("wanted", "source", "named"),
    [
        ("auto", "steel", "steel"),
        ("auto", "none", "none"),
        ("s3://mill/weights.h5", "file", "s3://mill/weights.h5"),
        ("/w/weights.h5", "file", "/w/weights.h5"),
    ],
)
def test_weights_are_named_as_they_were_found(wanted: str, source: str, named: str) -> None:
    config = load_config(overrides={"model.weights": wanted})
    assert parsed(command_line(command("d", config, {"source": source}))).model.weights == named


def test_a_relative_weights_file_is_named_from_the_top(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(overrides={"model.weights": "w.h5"})
    assert f"model.weights={tmp_path}/w.h5" in command("d", config, {"source": "file"})


def profile(**changed: object) -> pd.DataFrame:
    table = pd.DataFrame(
        {"part": ["train", "test", "test"], "label": [0, 0, 1], "file_hash": ["a", "b", "c"], "path": ["1", "2", "3"]}
    )
    return table.assign(**changed)


def test_split_hash_depends_on_files_and_labels_only() -> None:
    same = part_hash(profile())
    assert part_hash(profile().iloc[::-1]) == same
    assert part_hash(profile(path=["x", "y", "z"], file_hash=["other", "b", "c"])) == same
    assert part_hash(profile(label=[0, 1, 1])) != same
    assert part_hash(profile(file_hash=["a", "b", "d"])) != same
    assert part_hash(profile(part=["test", "test", "test"])) != same
