"""Kills at any moment of each command: a round is one toy study, and what is done with it afterwards.

    python -m benchmarks.faults.campaign --out campaign.json --kills 200

Beside `kills.py`, which kills real studies in chosen phases, this one kills many: `run`, `report`, `export`,
`store gc`, `run --again` and `nightly`, each after a random part of the time that it takes, its driver or
all of its processes. After each kill `checks.py` reads what is on disk; the same command then has to end by
itself in a stated exit status.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.command import Options, finish, parser_of, tell, write_figures
from benchmarks.faults.checks import Found, Seen, check_all, check_end, entries_in, misfits, peek, shown_in
from benchmarks.faults.site import DRIVER, GROUP, RUNNER, Site, end, kill
from benchmarks.faults.toy import ENVIRONMENT, aged, toy_site, with_junk
from benchmarks.faults.warm import Warm

STATED = (0, 2)
OF_NIGHTS = (0, 2, 3)
RUN, AGAIN, REPORT, EXPORT, GC, NIGHTLY = "run", "run --again", "report", "export", "store gc", "nightly"
AFTERWARDS = (REPORT, EXPORT, GC, GC, AGAIN, NIGHTLY)


class Rounds:
    """Kills in round after round, each a study of its own."""

    def __init__(self, warm: Warm, seed: int, keep: Callable[[dict[str, Any]], None]) -> None:
        self.warm, self.rng, self.keep = warm, random.Random(seed), keep
        self.took = {RUN: 20.0, AGAIN: 6.0, REPORT: 1.0, EXPORT: 1.5, GC: 1.5, NIGHTLY: 15.0}
        self.kills = 0

    def round(self, folder: Path, most: int, commands: tuple[str, ...] = AFTERWARDS) -> None:
        """One study, killed at most so often in its middle, and as often afterwards."""
        site, seen = toy_site(folder, self.warm), Seen()
        for _ in range(most):
            if not self.killed(site, seen, RUN, longest=self.took[RUN] * 0.6):
                break
        self.ends(site, seen, RUN)
        self.each(site, seen, self.rng.sample(commands, min(most, len(commands))))

    def afterwards(self, folder: Path, commands: tuple[str, ...]) -> None:
        """A study that nobody kills, and then each command, killed and run to its end, three times."""
        site, seen = toy_site(folder, self.warm), Seen()
        self.ends(site, seen, RUN)
        self.each(site, seen, [*commands] * 3)

    def each(self, site: Site, seen: Seen, commands: list[str]) -> None:
        for name in commands:
            if name == GC:
                with_junk(site, 60, self.rng.randrange(10**9))
                aged(site, 30)
            self.killed(site, seen, name, longest=self.took[name])
            self.ends(site, seen, name)

    def killed(self, site: Site, seen: Seen, name: str, longest: float) -> bool:
        """Kill a command after a while; False where it had ended before."""
        process = site.start(*self.words(site, name), log=site.nights if name == NIGHTLY else None)
        time.sleep(self.rng.uniform(0.02, longest))
        victim = self.rng.choice((DRIVER, GROUP, RUNNER) if name == RUN else (DRIVER, GROUP))
        hit = kill(process, victim, self.rng)
        if hit and victim == RUNNER and process.poll() is None:  # the driver goes on, and is killed in turn
            self.count(site, seen, name, RUNNER, Found())
            time.sleep(self.rng.uniform(0.02, 2))
            hit = kill(process, DRIVER, self.rng)
        end(process)
        if hit:
            self.count(site, seen, name, victim if victim != RUNNER else DRIVER, checked(site, seen, name))
        return hit

    def count(self, site: Site, seen: Seen, name: str, victim: str, found: Found) -> None:
        self.kills += 1
        where = f"run: {phase(site)}" if name in (RUN, AGAIN) else name
        row = {"phase": where, "victim": victim, "told": len(seen.told), **found.plain()}
        tell(f"{self.kills:4d} {where:<16} {victim:<19} {row['told']:3d} told  {found.plain()}")
        self.keep(row)

    def ends(self, site: Site, seen: Seen, name: str) -> None:
        """The same command comes to its end, in a status that is stated."""
        began, words = time.monotonic(), self.words(site, name)
        process = site.start(*words, log=site.nights if name == NIGHTLY else None)
        process.wait(600)
        code, self.took[name] = process.returncode, time.monotonic() - began
        found = checked(site, seen, name, code if name in (RUN, AGAIN) else None)
        if code not in (OF_NIGHTS if name == NIGHTLY else STATED):
            log = site.nights if name == NIGHTLY else site.log
            found.corrupt.append(f"{name} ended with {code}: {log.read_text()[-600:]}")
        if name == EXPORT and "made again" in site.said():
            found.twice.append("an artifact that the store needs was made again")
        tell(f"     {name} ended with {code} in {self.took[name]:.1f} s  {found.plain()}")
        self.keep({"phase": f"{name}, then to its end", "exit": code, **found.plain()})

    def words(self, site: Site, name: str) -> tuple[object, ...]:
        study = site.study
        if name == EXPORT:
            shutil.rmtree(site.exported, ignore_errors=True)
            return ("export", study, self.rng.choice(front(site)), "-o", site.exported)
        return {
            RUN: ("run", study),
            AGAIN: ("run", "--again", study),
            REPORT: ("report", study),
            GC: ("store", "gc", study),
            NIGHTLY: ("nightly", study),
        }[name]


def phase(site: Site) -> str:
    """Where a study stands, by what is on disk."""
    _, attributes = peek(site.database)
    if attributes.get("ended"):
        return "files"
    if not attributes:
        return "start"
    return "finalists" if json.loads(attributes.get("record") or "{}").get("stopped") else "trials"


def front(site: Site) -> list[int]:
    """What a front, finalists and the bundle need of the store, by the report's own words."""
    report = json.loads((site.report / "report.json").read_text())
    numbers = {entry["number"] for entry in report["ranking"]["entries"] if entry["on_front"]}
    return sorted(numbers | {one["number"] for one in report["record"]["finalists"]})


def checked(site: Site, seen: Seen, name: str, code: int | None = None) -> Found:
    """What is on disk after a command, killed or not: `code` where it came to its end."""
    if name == GC:
        before = dict(seen.entries)
        there = {f"{e.parent.name}/{e.name[:12]}" for e in entries_in(site.store)}
        seen.entries = {entry: was for entry, was in before.items() if entry in there}
    found = check_end(site, seen, code) if code in STATED else check_all(site, seen)[0]
    if name in (GC, NIGHTLY) and site.report.is_dir():
        found.lost += needed_and_gone(site)
    if name == NIGHTLY:
        found.corrupt += nights_in_part(site)
        found.lost += lost_of_nights(site)
    return found


def lost_of_nights(site: Site) -> list[str]:
    """Trials that nights have shown, and that none of their studies has."""
    there: set[int] = set()
    for database in site.folder.glob("nights/*/runs/*/study.db"):
        there |= peek(database)[0].keys()
    return [f"trial {number}, which a night showed" for number in shown_in(site.nights.read_text()) - there]


def nights_in_part(site: Site) -> list[str]:
    """Nights of the history that cannot be read."""
    wrong = []
    for night in site.folder.glob("nights/*/night-*"):
        try:
            json.loads((night / "night.json").read_text())
        except (OSError, ValueError) as error:
            wrong.append(f"{night.name}: {error!r}")
    return wrong


def needed_and_gone(site: Site) -> list[str]:
    """Stages of trials on the front that the store no longer has, or not whole."""
    report = json.loads((site.report / "report.json").read_text())
    wanted = set(front(site))
    lost = []
    for trial in report["record"]["trials"]:
        for stage in trial["evaluation"]["stages"] if trial["number"] in wanted else ():
            entry = site.store / stage["name"] / stage["key"]
            manifest = entry / "manifest.json"
            if not manifest.is_file() or misfits(entry, json.loads(manifest.read_text())["files"]):
                lost.append(f"{stage['name']} {stage['key'][:12]} of trial {trial['number']}")
    return lost


def work(options: Options) -> dict[str, Any]:
    from paretune.cli import app

    known = {command.callback.__name__ for command in app.registered_commands if command.callback}
    asked = options.only or AFTERWARDS
    commands = tuple(name for name in asked if name.split()[0] in {*known, "store"})
    rows: list[dict[str, Any]] = []

    def keep(row: dict[str, Any]) -> None:
        rows.append(row)
        write_figures(options.out, {"rows": rows})

    warm = Warm(ENVIRONMENT)
    try:
        with tempfile.TemporaryDirectory(prefix="faults-", dir=options.folder) as root:
            rounds = Rounds(warm, options.seed, keep)
            number = 0
            while rounds.kills < options.kills:
                folder = Path(root) / f"round-{number}"
                if options.only:
                    rounds.afterwards(folder, commands)
                else:
                    rounds.round(folder, 6, commands)
                shutil.rmtree(folder)
                number += 1
    finally:
        warm.close()
    return {"rows": rows, "table": table(rows)}


def table(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Kills and what was found, by phase, and the exit statuses of what came to its end."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        one = found.setdefault(row["phase"], {"kills": 0, "lost": 0, "corrupt": 0, "twice": 0, "exits": []})
        one["kills"] += "victim" in row
        for what in ("lost", "corrupt", "twice"):
            one[what] += len(row[what])
        if "exit" in row:
            one["exits"] = sorted({*one["exits"], row["exit"]})
    return found


def show(figures: dict[str, Any]) -> None:
    print(f"{'phase':<34} {'kills':>6} {'lost':>6} {'corrupt':>8} {'twice':>6}  exit")
    for name, one in sorted(figures["table"].items()):
        counts = f"{one['kills']:6} {one['lost']:6} {one['corrupt']:8} {one['twice']:6}"
        print(f"{name:<34} {counts}  {', '.join(map(str, one['exits']))}")


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument(
        "--only", action="append", choices=AFTERWARDS, help="kill this alone, of ended studies"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--folder", type=Path, default=None, help="where the studies lie meanwhile")
    return finish(work, parser.parse_args(arguments), show)


if __name__ == "__main__":
    sys.exit(main())
