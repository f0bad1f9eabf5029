"""A table of changes, each committed in a real git repository and given its direction."""

from __future__ import annotations

import shutil

import pytest

from tests.policy_repository import PolicyRepository, make_repository
from tests.review_changes import CASES, Case

LEAST = 60


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> PolicyRepository:
    return make_repository(tmp_path_factory.mktemp("changes"))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_change_has_its_direction(case: Case, repository: PolicyRepository) -> None:
    head = changed(repository, case)
    found = repository.compared(head)
    told = [(change.subject, change.rule, change.direction.value, change.why) for change in found.changes]
    assert found.direction.value == case.direction, told
    assert {change.rule for change in found.changes} == case.rules, told


def changed(repository: PolicyRepository, case: Case) -> str:
    """The commit of the case; a query that the case names and the base has not is made from its sibling."""
    for name, text in (("share", "same"), ("share_of_all", "other")):
        if any(f"slo/{name}.sql" in edit.new for edit in case.edits):
            return moved(repository, case, name, is_same=text == "same")
    return repository.change(case.edits)


def moved(repository: PolicyRepository, case: Case, name: str, *, is_same: bool) -> str:
    repository.change(case.edits)
    old, new = (repository.root / f"queries/slo/{stem}.sql" for stem in ("success_rate", name))
    shutil.move(old, new)
    text = new.read_text(encoding="utf-8").replace("-- name: success_rate", f"-- name: {name}")
    new.write_text(text if is_same else text.replace("100 *", "99 *"), encoding="utf-8")
    return repository.commit("moved")


def test_there_are_changes_enough_and_none_twice() -> None:
    assert len(CASES) >= LEAST
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.direction for case in CASES} == {"neutral", "tightening", "loosening", "unknown"}


def test_a_change_and_its_reverse_go_opposite_ways(repository: PolicyRepository) -> None:
    looser = next(case for case in CASES if case.name == "a larger upper limit")
    head = changed(repository, looser)
    assert repository.compared("base", base=head).direction.value == "tightening"
