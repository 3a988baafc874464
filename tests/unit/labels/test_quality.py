"""Label quality: a probability, by Bayes' rule, that ranks what is wrong before what is only hard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steel_training.labels.quality import label_quality, probability_of_a_defect, turned_rates, worst_first


def drawn(false_alarm: float, miss: float, patches: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores and the true probability of a defect behind them."""
    random = np.random.default_rng(0)
    z = random.standard_normal(patches)
    probability = 1 / (1 + np.exp(-(4 * z - 2)))
    truth = random.random(patches) < probability
    turned = random.random(patches) < np.where(truth, miss, false_alarm)
    return (truth ^ turned).astype(int), 1 / (1 + np.exp(-0.3 * z)), probability


@pytest.mark.parametrize(("false_alarm", "miss"), [(0.0, 0.0), (0.1, 0.0), (0.03, 0.2)])
def test_wrong_labels_do_not_flatten_the_calibration(false_alarm: float, miss: float) -> None:
    labels, scores, probability = drawn(false_alarm, miss)
    found = probability_of_a_defect(labels, scores, false_alarm, miss)
    assert np.abs(found - probability).max() < 0.05


def test_quality_is_the_probability_by_bayes_rule() -> None:
    labels, scores, _ = drawn(0.05, 0.2)
    wrong = np.array([0.15, 0.06])
    false_alarm, miss = turned_rates(labels, wrong)
    p = probability_of_a_defect(labels, scores, false_alarm, miss)
    quality = label_quality(labels, scores, wrong)
    said = labels == 1
    assert quality[said] == pytest.approx((p * (1 - miss) / (p * (1 - miss) + (1 - p) * false_alarm))[said])
    assert quality[~said] == pytest.approx(
        ((1 - p) * (1 - false_alarm) / ((1 - p) * (1 - false_alarm) + p * miss))[~said]
    )


def test_rates_count_turned_labels_of_each_true_class() -> None:
    # Of 1,000 clean patches 50 are labelled defective, and of 500 defects 100 clean.
    labels = np.repeat([0, 1], [1050, 450])
    assert turned_rates(labels, np.array([100 / 1050, 50 / 450])) == pytest.approx((0.05, 0.2))
    assert turned_rates(labels, np.zeros(2)) == pytest.approx((0.5 / 1050, 0.5 / 450), rel=0.01)


def test_hard_defects_are_not_suspects_if_none_is_wrong() -> None:
    labels = np.array([0] * 50 + [1] * 50)
    scores = np.array([0.05] * 45 + [0.6] * 5 + [0.95] * 45 + [0.2] * 5)
    quality = label_quality(labels, scores, np.array([0.1, 0.0]))
    assert set(worst_first(labels, scores, quality)[:5]) == set(range(45, 50))
    assert quality[95:].min() > 0.5, "no clean patch is labelled defective here, so a defect of low score is a hard one"


@given(
    st.lists(st.floats(0, 1), min_size=4, max_size=40),
    st.floats(0, 0.95),
    st.floats(0, 0.95),
)
def test_quality_is_monotone_in_the_score(drawn: list[float], wrong_clean: float, wrong_defective: float) -> None:
    scores = np.sort(np.array([*drawn, *drawn]))
    labels = np.arange(len(scores)) % 2
    quality = label_quality(labels, scores, np.array([wrong_clean, wrong_defective]))
    assert ((quality >= 0) & (quality <= 1)).all()
    assert (np.diff(quality[labels == 1]) >= -1e-12).all()
    assert (np.diff(quality[labels == 0]) <= 1e-12).all()


def test_equal_quality_is_ordered_by_the_score() -> None:
    labels, scores = np.array([0, 0, 1, 0]), np.array([0.91, 0.99, 0.02, 0.95])
    assert list(worst_first(labels, scores, np.zeros(4))) == [1, 2, 3, 0]
