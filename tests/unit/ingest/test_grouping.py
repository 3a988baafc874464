from __future__ import annotations

import pytest

from steel_training.ingest.csv_tables import TableInvalid
from steel_training.ingest.grouping import GroupingInvalid, grouping

NAMES = ["coil1_a", "coil1_b", "coil2_a"]


def test_the_first_parenthesis_of_the_expression_is_the_group() -> None:
    by_name = grouping(NAMES, regex="^(coil[0-9]+)_")
    assert [by_name.metadata(name)["group_id"] for name in NAMES] == ["coil1", "coil1", "coil2"]


def test_without_a_rule_a_photograph_is_its_own_group() -> None:
    assert grouping(NAMES).metadata("coil1_a") == {}


@pytest.mark.parametrize(("regex", "told"), [("^(strip)", "'coil1_a'"), ("(", "not a valid regular expression")])
def test_an_expression_that_does_not_fit_is_refused(regex, told) -> None:
    with pytest.raises(GroupingInvalid, match=told):
        grouping(NAMES, regex=regex)


def test_group_table_with_or_without_file_suffixes(tmp_path) -> None:
    table = tmp_path / "groups.csv"
    table.write_text("source_id,group_id,line\ncoil1_a.jpg,A,hot\ncoil1_b,A,hot\ncoil2_a,007,cold\n")
    by_table = grouping(NAMES, table=str(table))
    assert by_table.metadata("coil1_a") == {"group_id": "A", "line": "hot"}
    assert by_table.metadata("coil2_a") == {"group_id": "007", "line": "cold"}


@pytest.mark.parametrize(
    ("content", "error", "told"),
    [
        ("source_id,group_id\ncoil1_a,A\ncoil1_b,A\n", GroupingInvalid, "'coil2_a'"),
        ("source_id,group_id\ncoil1_a,A\ncoil1_b, \ncoil2_a,B\n", GroupingInvalid, "'coil1_b'"),
        ("source_id,group_id\ncoil1_a,A\ncoil1_a,B\n", GroupingInvalid, "contradicting rows for 1 images: 'coil1_a'"),
        ("source_id,coil\ncoil1_a,A\n", TableInvalid, "no column group_id"),
        ("source_id,group_id,label\ncoil1_a,A,1\n", GroupingInvalid, "column label"),
        ("", TableInvalid, "cannot be read"),
    ],
)
def test_a_table_that_leaves_a_photograph_out_is_refused(tmp_path, content, error, told) -> None:
    table = tmp_path / "groups.csv"
    table.write_text(content)
    with pytest.raises(error, match=told):
        grouping(NAMES, table=str(table))


def test_a_table_that_does_not_exist_is_named(tmp_path) -> None:
    with pytest.raises(TableInvalid, match=r"absent\.csv does not exist"):
        grouping(NAMES, table=str(tmp_path / "absent.csv"))


def test_all_photographs_without_a_group_are_named(tmp_path) -> None:
    with pytest.raises(GroupingInvalid, match=r"in 2 images: 'coil1_a', 'coil1_b'\."):
        grouping(NAMES, regex="^(coil2)_")
    table = tmp_path / "groups.csv"
    table.write_bytes("source_id;group_id\ncoil2_a;A\n".encode("utf-8-sig"))
    with pytest.raises(GroupingInvalid, match=r"no group for 2 of 3 images: 'coil1_a', 'coil1_b'\."):
        grouping(NAMES, table=str(table))
