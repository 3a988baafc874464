"""An alarm is overridden only by its code, and every override is reported with the verdict."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steel_training import leakage
from steel_training.bundle.card import _alarms
from steel_training.config import Config, ConfigError, load_config
from steel_training.leakage import Probe
from steel_training.leakage.overriding import allowed_reasons, override
from steel_training.registry.text import listing
from steel_training.verdict import ALLOWED, OVERRIDABLE

PROBES = st.builds(
    Probe,
    code=st.sampled_from([*OVERRIDABLE, "leak.name", "collapse.chance", "collapse.one_class"]),
    passed=st.booleans(),
    statistic=st.just(1.0),
    threshold=st.just(0.0),
    message=st.just("found 1, expected 0"),
    decisive=st.booleans(),
)


@given(st.lists(PROBES, max_size=12), st.sets(st.sampled_from(OVERRIDABLE)))
def test_only_named_alarms_are_allowed_and_reported(probes: list[Probe], allow: set[str]) -> None:
    after = override(probes, allow)
    assert [probe.code for probe in after] == [probe.code for probe in probes]
    for before, now in zip(probes, after, strict=True):
        assert now.allowed == (before.blocks and before.code in allow)
        assert now.blocks == (before.blocks and before.code not in allow)
    reasons = allowed_reasons([probe.as_dict() for probe in after])
    assert [reason.code for reason in reasons] == [probe.code for probe in after if probe.allowed]
    assert all(reason.message == f"{ALLOWED}found 1, expected 0" for reason in reasons)


@pytest.mark.parametrize("code", ["collapse.one_class", "gate.recall", "data.labels", "leak.name", "leak", "*", ""])
def test_only_blocking_leak_probes_can_be_allowed(code: str) -> None:
    with pytest.raises(ConfigError, match="cannot be allowed") as refused:
        load_config(None, overrides={"baseline.allow": [code]})
    assert "leak.too_good" in str(refused.value)


def test_override_changes_the_configuration_hash() -> None:
    allowed = load_config(None, overrides=["baseline.allow=[leak.too_good, leak.group, leak.group]"])
    assert allowed.baseline.allow == ["leak.group", "leak.too_good"]
    assert allowed.fingerprint() != Config().fingerprint()


def test_every_blocking_leak_code_is_overridable() -> None:
    """A blocking code that cannot be allowed would leave users stuck; an allowed code without a probe would do nothing."""
    warn_only = {"leak.name", "leak.parts_differ", "leak.group_effect", "leak.file_modified", "leak.simple_cue"}
    found = {code for path in Path(leakage.__file__).parent.glob("*.py") for code in _codes(path)}
    assert found - warn_only == set(OVERRIDABLE)


def _codes(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value
            if name.startswith("leak.") and name.removeprefix("leak.").isidentifier():
                yield name


def test_model_card_puts_alarms_before_metrics() -> None:
    green = Probe("leak.group", True, 0.0, 0.0, "none").as_dict()
    alarm = Probe("leak.rotation", False, 7.0, 0.0, "7 pairs", allowed=True).as_dict()
    lifted = Probe("leak.too_good", False, 0.995, 0.99, "that plain", decisive=False).as_dict()
    assert _alarms({"probes": [green]}) == []
    assert _alarms({}) == []
    (card,) = _alarms({"probes": [green, alarm, lifted]})
    assert "**`leak.rotation`, ALARM, allowed by name.** 7 pairs" in card
    assert "| `leak.too_good` | warning | 0.9950 | 0.9900 |" in card
    assert "| `leak.group` | passed |" in card


def test_list_marks_versions_with_allowed_alarms() -> None:
    decision = {"version": "v1", "verdict": "published", "decided_at": "2026-11-25", "run_id": "r1", "metrics": {}}
    clean = listing([decision], ["v1"], "v1")
    marked = listing([{**decision, "allowed": [{"code": "leak.group", "message": "x"}]}], ["v1"], "v1")
    assert "!" not in clean
    assert "published !" in marked
    assert "allowed by name" in marked
