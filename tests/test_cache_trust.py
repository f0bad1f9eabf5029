"""A cache that a stranger made is as good as empty, and leads nowhere."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from checker.analyzer.cache import CachePlace, open_cache


def test_a_cache_made_with_another_key_is_as_good_as_empty(tmp_path: Path) -> None:
    theirs, ours = (CachePlace(tmp_path / "cache", tmp_path / name / "key") for name in ("theirs", "ours"))
    with open_cache(theirs) as cache:
        cache.put("measurements", {"a": [0.0, 5, {}]})
    with open_cache(theirs) as cache:
        assert cache.get("measurements", ["a"]) == {"a": [0.0, 5, {}]}
    with open_cache(ours) as cache:
        assert cache.get("measurements", ["a"]) == {}
    assert (tmp_path / "ours/key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "ours/key").read_bytes() != (tmp_path / "theirs/key").read_bytes()


@pytest.mark.parametrize("link", [".phasegate", ".phasegate/cache", ".phasegate/cache/events"])
def test_a_projects_cache_behind_a_link_is_done_without(link: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to(elsewhere)
    with open_cache(CachePlace(tmp_path / ".phasegate/cache", tmp_path / "own/key")) as cache:
        assert not cache.events_folder.is_relative_to(tmp_path)
    assert list(elsewhere.iterdir()) == []


def test_an_index_with_a_view_in_it_is_made_anew(tmp_path: Path) -> None:
    endless = "create view measurements as with recursive n(i) as (select 1 union all select i from n) select i from n"
    with sqlite3.connect(tmp_path / "index.sqlite") as database:
        database.execute(endless)
    with open_cache(CachePlace.trusted(tmp_path)) as cache:
        cache.put("measurements", {"a": 1})
        cache.save()
        assert cache.get("measurements", ["a"]) == {"a": 1}
