"""A full disk: a study is run again and again, and each time another of its writes finds no room.

    python -m benchmarks.faults.full_disk --out full.json --step 1

The n-th call that takes room (a file or folder made, a write, a file made longer) fails with ENOSPC, alone
or with all that come after it (every other n): in the command's own process and in those that it starts.
Each run has to end in a stated exit status with a message, never a traceback; the next one, with room, comes
to the end with the records of a study that always had room.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.command import Options, finish, parser_of, tell, write_figures
from benchmarks.faults.checks import Found, Seen, check_all, check_end
from benchmarks.faults.shim import Fault, built
from benchmarks.faults.site import Site, unkilled
from benchmarks.faults.toy import ENVIRONMENT, toy_site
from benchmarks.faults.warm import Warm

_RANDOM = re.compile(r"[0-9a-f]{16,}|(?<=\.)[a-z0-9_]{8}(?=/|$)")
STATED = (0, 1, 2)
SHORT = {"budget": {"trials": 2}}


@dataclass(frozen=True)
class Full:
    """What one write without room led to. `code` of the run that had no room, `then` of the next one."""

    at: int
    stays: bool
    where: str
    code: int
    then: int
    found: Found
    wrong: str = ""

    def plain(self) -> dict[str, Any]:
        about = {
            "at": self.at,
            "stays": self.stays,
            "where": self.where,
            "code": self.code,
            "then": self.then,
        }
        return {**about, **self.found.plain(), "wrong": self.wrong}


class FullDisks:
    """Runs of one study, each on a disk that is full at another moment. `begun`: the store as it
    is before."""

    def __init__(self, root: Path, warm: Warm, begun: Path | None = None) -> None:
        self.root, self.warm, self.begun = root, warm, begun
        self.fault = Fault(root / "site", root / "state")
        site = self._site()
        site.environment = self.fault.full(-1, stays=False)
        self.code = unkilled(site, "run", site.study)
        self.calls, self.records = self.fault.counted(), records(site)
        self.listed = self.fault.log.read_text().splitlines()

    def kinds(self) -> list[int]:
        """The first call of each kind: what it does, to which file but for keys and random names."""
        first: dict[str, int] = {}
        for line in self.listed:
            number, _, where = line.partition(" ")
            first.setdefault(_RANDOM.sub("*", where), int(number))
        return sorted(first.values())

    def _site(self) -> Site:
        shutil.rmtree(self.root / "site", ignore_errors=True)
        site = toy_site(self.root / "site", self.warm, **SHORT)
        if self.begun is not None:
            shutil.copytree(self.begun, site.store)
        site.log = self.root / "log"
        site.log.unlink(missing_ok=True)
        return site

    def at(self, number: int, *, stays: bool) -> Full:
        site, seen = self._site(), Seen()
        site.environment = self.fault.full(number, stays=stays)
        code = unkilled(site, "run", site.study)
        said = site.said()
        where = self.fault.log.read_text().strip() if self.fault.log.is_file() else "not reached"
        site.environment = dict.fromkeys(site.environment, "")
        found, _ = check_all(site, seen)
        then = unkilled(site, "run", site.study)
        ended = check_end(site, seen, then) if then in (0, 2) else Found(lost=[site.said()[-600:]])
        parts = [a + b for a, b in zip(found.parts, ended.parts, strict=True)]
        wrong = self._wrong(code, said) or (
            "" if records(site) == self.records else "other records at the end"
        )
        where = where.replace(str(self.root / "site"), "")
        return Full(number, stays, where, code, then, Found(*parts), wrong)

    def _wrong(self, code: int, said: str) -> str:
        if "Traceback" in said:
            return f"a traceback: {said[-1500:]}"
        if code not in STATED:
            return f"status {code}: {said[-600:]}"
        if code == 1 and "error:" not in said:
            return f"no message: {said[-600:]}"
        return ""


def made(root: Path, warm: Warm) -> Path:
    """A store in which another study has made all: the study itself then takes seconds."""
    site = toy_site(root / "made", warm, **SHORT)
    unkilled(site, "run", site.study)
    return site.store


def records(site: Site) -> list[tuple[str, str]]:
    """What is the same whenever the study is run: candidates and their outcomes."""
    path = site.report / "report.json"
    if not path.is_file():
        return []
    trials = json.loads(path.read_text())["record"]["trials"]
    ended = {
        json.dumps(t["evaluation"]["candidate"], sort_keys=True): t["evaluation"]["outcome"] for t in trials
    }
    return sorted(ended.items())


def work(options: Options) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    warm = Warm({**ENVIRONMENT, "LD_PRELOAD": str(built())})
    try:
        with tempfile.TemporaryDirectory(prefix="full-", dir=options.folder) as name:
            disks = FullDisks(Path(name), warm, made(Path(name), warm) if options.made else None)
            tell(f"{disks.calls} calls take room, ended with {disks.code}")
            every = range(1 + options.first, disks.calls + 1, options.step)
            for number in disks.kinds() if options.kinds else every:
                full = disks.at(number, stays=bool(number % 2))
                rows.append(full.plain())
                write_figures(options.out, {"rows": rows})
                how = "stays" if full.stays else "once"
                tell(f"{number:4d} {how:<5} {full.code} {full.then} {full.where[:110]}")
                if full.wrong or any(full.found.parts):
                    tell(f"     {full.wrong} {full.found.plain()}")
            calls = disks.calls
    finally:
        warm.close()
    return {"calls": calls, "rows": rows, "codes": Counter(str(row["code"]) for row in rows)}


def show(figures: dict[str, Any]) -> None:
    rows = figures["rows"]
    counts = {what: sum(len(row[what]) for row in rows) for what in ("lost", "corrupt", "twice")}
    wrong = sum(bool(row["wrong"]) for row in rows)
    print(
        f"{len(rows)} of {figures['calls']} calls: statuses {dict(figures['codes'])}, {counts}, wrong {wrong}"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--step", type=int, default=1, help="fail every so many calls")
    parser.add_argument("--kinds", action="store_true", help="fail the first call of each kind alone")
    parser.add_argument(
        "--made", action="store_true", help="the store has all: what is kept of it is not tried"
    )
    parser.add_argument("--first", type=int, default=0, help="leave out so many")
    parser.add_argument("--folder", type=Path, default=None, help="where the studies lie meanwhile")
    return finish(work, parser.parse_args(arguments), show)


if __name__ == "__main__":
    sys.exit(main())
