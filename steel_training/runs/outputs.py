"""What stages leave for later ones, typed: read from `result.json`, which holds it as JSON.

Fields that no stage reads again stay JSON: the report shows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from steel_training.evaluation.comparison import Comparison
from steel_training.evaluation.learning_curve import LearningCurve
from steel_training.evaluation.metrics import Counts, Estimate
from steel_training.evaluation.slices import Slice
from steel_training.labels.wrong_shares import WrongShare
from steel_training.leakage.probe import StoredProbe
from steel_training.storage.json_types import Json
from steel_training.training.weights_source import LoadedWeights
from steel_training.verdict import Verdict

if TYPE_CHECKING:
    from steel_training.labels.audit import LabelAudit  # it loads scikit-learn


@dataclass(frozen=True)
class CheckedBaseline:
    """Of `check_baseline`.

    Attributes:
        probes: what each probe found (`Probe.as_dict`).
        data_docs: path of the first page, below the stage's folder.
        metrics: of the baseline CNN on validation; empty where a probe blocked before it was trained.
        training: its history (`Training.as_dict`).
    """

    probes: Sequence[StoredProbe]
    data_docs: str = ""
    metrics: Mapping[str, Json] = field(default_factory=dict)
    training: Mapping[str, Json] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Return the fields as JSON values."""
        return {
            "probes": list(self.probes),
            "metrics": dict(self.metrics),
            "data_docs": self.data_docs,
            **self.training,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CheckedBaseline:
        """Read the outputs back."""
        return cls(values["probes"], values.get("data_docs", ""), values["metrics"])


@dataclass(frozen=True)
class AuditedLabels:
    """Of `audit_labels`.

    Attributes:
        problem: why the labels were not audited; empty where they were, and else nothing below is known.
        patches: that were audited.
        suspects: labels that are more likely wrong than right.
        suspects_by_split: the same by split.
        contradicting_neighbours: patches of which nearly all nearest ones carry the other label.
        contradicting_copies: labels that an identical patch contradicts.
        auc: of the out-of-fold scores against the labels as given.
        wrong_labels: estimated shares of wrong labels, of label 0 and label 1.
        learning_curve: what more training groups would be worth; `None` where there are too few to say.
        seconds: for `features`, which `train_head` finds in the cache, for the `audit` itself, and for the `learning_curve`.
    """

    problem: str = ""
    patches: int = 0
    suspects: int = 0
    suspects_by_split: Mapping[str, int] = field(default_factory=dict)
    contradicting_neighbours: int = 0
    contradicting_copies: int = 0
    auc: float | None = None
    wrong_labels: Sequence[WrongShare] = ()
    learning_curve: LearningCurve | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, found: LabelAudit, curve: LearningCurve | None, seconds: Mapping[str, float]) -> AuditedLabels:
        """Return the outputs of an audit that took some seconds."""
        audited = cls.from_dict({**found.as_dict(), "seconds": seconds})
        return replace(audited, learning_curve=curve)

    def to_dict(self) -> dict[str, Json]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AuditedLabels:
        """Read the outputs back."""
        wrong = [WrongShare.from_dict(each) for each in values["wrong_labels"]]
        curve = values.get("learning_curve")  # runs before 2026-11-29 have none
        return cls(
            **{
                **values,
                "wrong_labels": wrong,
                "learning_curve": None if curve is None else LearningCurve.from_dict(curve),
            }
        )


@dataclass(frozen=True)
class Trained:
    """Of `train_head` and `fine_tune`.

    Attributes:
        weights: what the backbone started from.
        training: history, best epoch, number of epochs (`Training.as_dict`).
        machine: that trained; only of `fine_tune`.
    """

    weights: LoadedWeights
    training: Mapping[str, Json] = field(default_factory=dict)
    machine: Mapping[str, str | int] | None = None

    def to_dict(self) -> dict[str, Json]:
        """Return the fields as JSON values."""
        machine = {"machine": dict(self.machine)} if self.machine is not None else {}
        return {"weights": self.weights.as_dict(), **machine, **self.training}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Trained:
        """Read the outputs back."""
        return cls(LoadedWeights.from_dict(values["weights"]), machine=values.get("machine"))


@dataclass(frozen=True)
class Evaluated:
    """Of `evaluate`, where the model was judged.

    Attributes:
        metrics: on the test split, by name.
        targets: of the gate, by name; None where one is not configured.
        counts: of the test split at the operating threshold.
        threshold: operating threshold, with how it was chosen.
        slices: of the test split, by the columns of the manifest.
        design_effect: how many of the defects count as one independent one (≥ 1).
        baseline: the model against the baseline CNN.
        champion: version of the champion, and the model against it; None where there was none.
        patches: in the test split.
        defects: among them.
        evidence: that the gate judges, `point` or `bound`.
    """

    metrics: Mapping[str, Estimate]
    targets: Mapping[str, float | None]
    counts: Counts
    threshold: Mapping[str, Json]
    slices: Sequence[Slice]
    design_effect: float
    baseline: Comparison
    champion: tuple[str, Comparison] | None
    patches: int
    defects: int
    evidence: str

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Evaluated:
        """Read the outputs back."""
        champion = values["champion"]
        return cls(
            metrics={name: Estimate.from_dict(each) for name, each in values["metrics"].items()},
            targets=values["targets"],
            counts=Counts.from_dict(values["counts"]),
            threshold=values["threshold"],
            slices=[Slice.from_dict(each) for each in values["slices"]],
            design_effect=values["design_effect"],
            baseline=Comparison.from_dict(values["baseline"]),
            champion=(champion["version"], Comparison.from_dict(champion)) if champion else None,
            patches=values["patches"],
            defects=values["defects"],
            evidence=values.get("evidence", "point"),
        )


@dataclass(frozen=True)
class Decided:
    """Of `decide`.

    Attributes:
        publish: whether the model meets its targets.
        require_approval: whether a person must release it.
        approvers: user ids of those who may; empty for everyone.
        four_eyes: whether two people must.
        champion: version that it was compared with.
        figures: judged metrics: value, bound and target by name.
        defects: in the test split.
        missed: among them.
        clean: patches in the test split.
        false_alarms: among them.
    """

    publish: bool
    require_approval: bool
    approvers: Sequence[str]
    four_eyes: bool
    champion: str | None
    figures: Mapping[str, Mapping[str, float | None]]
    defects: int
    missed: int
    clean: int
    false_alarms: int

    def to_dict(self) -> dict[str, Json]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Decided:
        """Read the outputs back; those of earlier versions of the program hold less."""
        return cls(
            publish=values["publish"],
            require_approval=values.get("require_approval", False),
            approvers=tuple(values.get("approvers", ())),
            four_eyes=values.get("four_eyes", False),
            champion=values.get("champion"),
            figures=values.get("figures", {}),
            defects=values.get("defects", 0),
            missed=values.get("missed", 0),
            clean=values.get("clean", 0),
            false_alarms=values.get("false_alarms", 0),
        )


@dataclass(frozen=True)
class Approval:
    """Of `approve_release`: what people answered.

    Attributes:
        approved: whether the model is released.
        by: names of those who answered, "Ada and Ben".
        reason: of a refusal.
        released_by: name of each person who released it, by user id.
        waiting: released by one person, and another must do so too.
    """

    approved: bool
    by: str
    reason: str | None
    released_by: Mapping[str, str] = field(default_factory=dict)
    waiting: bool = False

    def to_dict(self) -> dict[str, Json]:
        """Return the fields as JSON values."""
        return asdict(self)

    def to_record(self) -> dict[str, str | bool | None]:
        """Return what is kept with the verdict."""
        return {"approved": self.approved, "by": self.by, "reason": self.reason}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Approval:
        """Read the outputs back; those of earlier versions of the program hold less."""
        return cls(
            values["approved"],
            values["by"],
            values["reason"],
            values.get("released_by", {}),
            values.get("waiting", False),
        )


@dataclass(frozen=True)
class Ended:
    """Of the stage that ends a run: `publish_model`, `reject_model`, or an `evaluate` that refuses its model.

    Attributes:
        verdict: of the run.
        version: that was published; None where none was.
        champion: version that serves afterwards.
        previous_champion: version that served before.
        advice: what would help a rejected model most, on one line; empty where nothing is known.
    """

    verdict: Verdict
    version: str | None
    champion: str | None
    previous_champion: str | None
    advice: str = ""

    def to_dict(self) -> dict[str, Json]:
        """Return the fields as JSON values."""
        return {**asdict(self), "verdict": str(self.verdict)}
