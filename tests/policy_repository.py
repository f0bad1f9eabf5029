"""A real git repository with AutoSave's governed files and an SLO of each other kind, to be changed and compared."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from checker.reviewing.compare import Compared, compare_sound
from checker.reviewing.revision import both_revisions
from tests.rollouts import POLICY

ROOT = POLICY.parent.parent
POLICY_FILE = "policy/policy.yaml"
AUTHOR = "author@autosave.example"
MORE_SLOS = """  success_rate:
    title: success rate
    query: slo/success_rate.sql
    unit: "%"
    comparison: gte
    threshold: {A: 98, B: 99, C: 99.5}
    warn_below: 99.7
    on_no_data: violation
    min_samples: 5
    on_violation: hold
"""
SUCCESS_RATE = """-- name: success_rate
-- measures: completed saves as a share of all saves that ended
-- unit: %
-- reads: events(window_start, event, phase), windows(window_start)
-- params: $phase varchar
-- lookback: 0
-- returns: window_start timestamp, value double, samples bigint
with
    saves as (
        select window_start, event
        from events
        where event in ('autosave.save.completed', 'autosave.save.error') and phase = $phase
    )

select
    windows.window_start,
    100 * (count(*) filter (where saves.event = 'autosave.save.completed')) / nullif(count(saves.event), 0) as value,
    count(saves.event) as samples
from windows
left join saves using (window_start)
group by windows.window_start
order by windows.window_start
"""


@dataclass(frozen=True, slots=True)
class Edit:
    """In the project's file `path`, `old` becomes `new`; `old` must be there once. Empty `old`: the whole file, gone
    where `new` is empty as well.
    """

    path: str
    old: str
    new: str

    def make(self, root: Path) -> None:
        """Edit the file below `root`."""
        place = root / self.path
        if not self.old and not self.new:
            place.unlink()
            return
        if not self.old:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(self.new, encoding="utf-8")
            return
        text = place.read_text(encoding="utf-8")
        assert text.count(self.old) == 1, f"{self.old!r} stands {text.count(self.old)} times in {self.path}"
        place.write_text(text.replace(self.old, self.new), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class PolicyRepository:
    """The repository at `root`; its first commit, `base`, is the project as it was."""

    root: Path

    @property
    def policy(self) -> Path:
        """The policy's file."""
        return self.root / POLICY_FILE

    def git(self, *arguments: str) -> str:
        """Run git here, as the author."""
        settings = ("-c", "user.name=Author", "-c", f"user.email={AUTHOR}", "-c", "commit.gpgsign=false")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        command = ["git", "-C", str(self.root), *settings, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        """Commit all that lies here; the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def change(self, edits: Sequence[Edit], message: str = "change") -> str:
        """Commit `edits` on top of the base, on a branch of their own; the commit."""
        self.git("checkout", "--quiet", "--force", "--detach", "base")
        self.git("clean", "--quiet", "-dfx")
        for edit in edits:
            edit.make(self.root)
        return self.commit(message)

    def compared(self, head: str | None, base: str = "base") -> Compared:
        """`head` (None: what lies here) held against `base`."""
        with both_revisions(self.policy, base, head) as (_, before, after):
            return compare_sound(before, after)


def make_repository(root: Path, *, as_shipped: bool = False) -> PolicyRepository:
    """The project in a new repository at `root`, committed and tagged `base`; with an SLO more unless `as_shipped`."""
    for folder in ("policy", "queries"):
        shutil.copytree(ROOT / folder, root / folder)
    (root / "schemas").mkdir()
    shutil.copy(ROOT / "schemas/event.schema.json", root / "schemas/event.schema.json")
    if not as_shipped:
        Edit(POLICY_FILE, "\ngates:\n", f"{MORE_SLOS}\ngates:\n").make(root)
        Edit("queries/slo/success_rate.sql", "", SUCCESS_RATE).make(root)
    Edit("constraints.txt", "", "click==8.1.7\nduckdb==2.0.0\n").make(root)
    made = PolicyRepository(root)
    made.git("init", "--quiet")
    made.commit("base")
    made.git("tag", "base")
    return made
