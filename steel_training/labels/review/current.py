"""Whether the answers in a store are about the dataset as it is now."""

from __future__ import annotations

from steel_training.errors import UsageError
from steel_training.labels.review.own_answers import OwnAnswers


class CannotReview(UsageError):
    """The dataset cannot be reviewed in this way; the message says why, and what to do."""


def require_current(answers: OwnAnswers, dataset: str, fingerprint: str) -> None:
    """Refuse a store with answers about another state of the dataset.

    Args:
        answers: of a reviewer, about this state.
        dataset: URI of the version.
        fingerprint: of the version as it is now.

    Raises:
        CannotReview: there are such answers: `labels apply` would refuse them, and with them those to come.
    """
    stale = sum(answer.dataset == dataset and answer.fingerprint != fingerprint for answer in answers.others)
    if stale:
        raise CannotReview(
            f"{dataset} changed after {stale:,} answers about it: 'labels apply' would refuse them. Restore the version, or put the changed "
            "data into a new dated version and review that."
        )
