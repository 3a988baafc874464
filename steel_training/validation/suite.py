"""Runs Great Expectations: rules become a suite, tables become batches, results are returned as plain values."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path
from typing import Any

import great_expectations as gx
import great_expectations.expectations as expectations
import pandas as pd
from great_expectations.core import ExpectationSuiteValidationResult
from great_expectations.data_context import FileDataContext
from great_expectations.data_context.types.base import ProgressBarsConfig

from steel_training.config import ValidationConfig
from steel_training.errors import SteelTrainingError
from steel_training.validation.data_docs import DOCS
from steel_training.validation.frames import Tables
from steel_training.validation.rules import Rule

EXAMPLES = 10
SUITES = "expectations"
_TABLES = ("patches", "parts", "drift")
_SPECIAL = "[&<>\"']"
_RESULT_FORMAT = {
    "result_format": "SUMMARY",
    "unexpected_index_column_names": ["row"],
    "partial_unexpected_count": EXAMPLES,
}


class ValidationFailed(SteelTrainingError):
    """Great Expectations failed to judge the table: an error of the program or its packages, not of the dataset."""


@dataclass(frozen=True)
class Finding:
    """The result of Great Expectations for one rule.

    Attributes:
        success: the expectation is met.
        count: unexpected rows.
        share: of the rows that have a value.
        rows: names of the first unexpected rows, at most `EXAMPLES`.
        values: their values.
        missing: columns that the table lacks.
    """

    success: bool
    count: int
    share: float
    rows: tuple[str, ...]
    values: tuple[object, ...]
    missing: tuple[str, ...]


class Session:
    """A Great Expectations project in a scratch folder, with the tables as its data. Use `open_session`."""

    def __init__(self, context: FileDataContext, tables: Tables, limits: ValidationConfig) -> None:
        self._context = context
        self._tables = tables
        self._limits = limits
        # Great Expectations writes values into its pages unescaped: a manifest could hold a script.
        self._frames = {"patches": _escaped(tables.patches), "parts": tables.splits, "drift": tables.drift}
        source = context.data_sources.add_pandas("dataset")
        self._batches = {
            name: source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all rows") for name in _TABLES
        }

    def judge(self, rules: Sequence[Rule]) -> dict[Rule, Finding]:
        """Judge rules without writing Data Docs."""
        findings: dict[Rule, Finding] = {}
        for name, chosen in _by_table(rules).items():
            batch = self._batches[name].get_batch({"dataframe": self._frames[name]})
            result = batch.validate(self._suite(name, chosen), result_format=_RESULT_FORMAT)
            findings |= _findings(result, chosen)
        return findings

    def judge_and_document(self, rules: Sequence[Rule]) -> dict[Rule, Finding]:
        """Judge rules as a checkpoint of the project and render its Data Docs."""
        findings: dict[Rule, Finding] = {}
        run = gx.RunIdentifier(run_name="validate_patches")
        for name, chosen in _by_table(rules).items():
            suite = self._context.suites.add(self._suite(name, chosen))
            definition = gx.ValidationDefinition(name=name, data=self._batches[name], suite=suite)
            checkpoint = gx.Checkpoint(
                name=name,
                validation_definitions=[self._context.validation_definitions.add(definition)],
                result_format=_RESULT_FORMAT,
            )
            result = self._context.checkpoints.add(checkpoint).run({"dataframe": self._frames[name]}, run_id=run)
            for validation in result.run_results.values():
                findings |= _findings(validation, chosen)
        self._context.build_data_docs()
        return findings

    def _suite(self, name: str, rules: Sequence[Rule]) -> gx.ExpectationSuite:
        return gx.ExpectationSuite(
            name=name,
            expectations=[
                getattr(expectations, rule.kind)(
                    **rule.arguments(self._tables.facts, self._limits),
                    severity=rule.severity,
                    description=f"{rule.title} ({rule.code}, {rule.severity})",
                    meta={"rule": number, "code": rule.code},
                )
                for number, rule in enumerate(rules)
            ],
        )


@contextmanager
def open_session(tables: Tables, limits: ValidationConfig, *, folder: Path, styles: str) -> Iterator[Session]:
    """Open a session that writes its Data Docs and suites to `folder`.

    Args:
        tables: what to judge.
        limits: the targets.
        folder: gets `data_docs/` and `expectations/`.
        styles: CSS for the pages of the Data Docs.
    """
    with tempfile.TemporaryDirectory(prefix="steel-training-") as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = gx.get_context(mode="file", project_root_dir=scratch)
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        site = {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str((folder / DOCS).absolute()),
            },
        }
        context.update_data_docs_site("local_site", site)
        project = Path(context.root_directory)
        custom = project / "plugins" / "custom_data_docs" / "styles" / "data_docs_custom_styles.css"
        custom.parent.mkdir(parents=True, exist_ok=True)
        custom.write_text(styles, encoding="utf-8")
        yield Session(context, tables, limits)
        for suite in sorted((project / "expectations").glob("*.json")):
            (folder / SUITES).mkdir(parents=True, exist_ok=True)
            shutil.copy(suite, folder / SUITES / suite.name)


def _escaped(table: pd.DataFrame) -> pd.DataFrame:
    table = table.copy()
    for column in table.columns[table.dtypes == "string"]:
        special = table[column].str.contains(_SPECIAL, regex=True).fillna(False).astype(bool)
        if special.any():
            table.loc[special, column] = table.loc[special, column].map(escape)
    return table


def _unescaped(value: object) -> object:
    return unescape(value) if isinstance(value, str) else value


def _by_table(rules: Sequence[Rule]) -> dict[str, list[Rule]]:
    by_table = {name: [rule for rule in rules if rule.table == name] for name in _TABLES}
    return {name: chosen for name, chosen in by_table.items() if chosen}


def _findings(validation: ExpectationSuiteValidationResult, rules: Sequence[Rule]) -> dict[Rule, Finding]:
    findings = {}
    for result in validation.results:
        config = result.expectation_config
        rule = rules[config.meta["rule"]]
        problem = _exception(result.exception_info)
        if problem is not None:
            raise ValidationFailed(
                f"Great Expectations could not judge {rule.code} ({rule.title}): {problem}. "
                "This is not an error in the dataset: please report it, with profile.parquet of the run."
            )
        findings[rule] = _finding(bool(result.success), result.result, config.kwargs.get("column"))
    return findings


def _exception(info: Mapping[str, Any] | None) -> str | None:
    """Return the first exception's message: Great Expectations has one record, or one per metric."""
    records = [info] if info and "raised_exception" in info else list((info or {}).values())
    return next((str(record["exception_message"]) for record in records if record["raised_exception"]), None)


def _finding(success: bool, result: Mapping[str, Any], column: str | None) -> Finding:
    examples = result.get("partial_unexpected_index_list") or []
    missing = result.get("details", {}).get("mismatched", {}).get("missing", ())
    return Finding(
        success=success,
        count=int(result.get("unexpected_count") or 0),
        share=float(result.get("unexpected_percent") or 0.0) / 100,
        rows=tuple(unescape(str(example["row"])) for example in examples),
        values=tuple(_unescaped(example.get(column)) for example in examples),
        missing=tuple(missing),
    )
