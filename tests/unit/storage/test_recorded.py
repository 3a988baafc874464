"""A value that a record lacks is named, with the record."""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict, dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steel_training.storage.recorded import Recorded, ValueMissing


@dataclass
class Holder:
    values: dict[str, Any]


VALUES = {"metrics": {"auc": {"value": 0.9}}, "slices": [{"name": "line"}, {}]}


@pytest.mark.parametrize(
    ("read", "named"),
    [
        (lambda values: values["threshold"], "'threshold'"),
        (lambda values: values["metrics"]["recall"], r"'metrics\.recall'"),
        (lambda values: values["metrics"]["auc"]["bound"], r"'metrics\.auc\.bound'"),
        (lambda values: values["slices"][1]["name"], r"'slices\[1\]\.name'"),
    ],
)
def test_what_is_missing_is_named_with_its_record(read: Any, named: str) -> None:
    with pytest.raises(ValueMissing, match=f"^The result of evaluate .store/result.json. has no {named}"):
        read(Recorded(VALUES, "The result of evaluate (store/result.json)"))


def test_what_may_be_missing_is_asked_as_of_any_dict() -> None:
    values = Recorded(VALUES, "A record")
    assert values.get("threshold", 0.5) == 0.5
    assert "threshold" not in values
    with pytest.raises(ValueMissing, match=r"^A record has no 'metrics\.recall'"):
        pickle.loads(pickle.dumps(values))["metrics"]["recall"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_values_are_those_that_were_written(content: Any) -> None:
    values = Recorded({"content": content}, "A record")
    assert values == {"content": content}
    assert json.loads(json.dumps(values)) == {"content": content}
    assert asdict(Holder(values)) == {"values": {"content": content}}
