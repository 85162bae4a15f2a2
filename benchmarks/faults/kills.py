"""Kills in the middle of real studies: what is lost, what is corrupt, what is made twice.

    python -m benchmarks.faults.kills --out kills.json --rounds 5

Each round is a study of its own on ONNX Runtime and LiteRT (`workload.py`, 20 trials, `--audit 0.5`). SIGKILL
comes at random moments of a seeded plan: after ten and more told trials, while finalists are measured, in the
audit, while report and bundle are written, in `paretune report`, `export` and `run --again`; it takes the
driver alone, driver and runners, or a runner (the driver then goes on). The phase in the table is what stood
on disk when the kill came. After each kill `checks.py` reads database, store, report and bundle without the
product; the next command resumes. At the end each round's answer must fit its database, and scores and sizes
must equal those of a study that nobody killed, bit by bit.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.command import Options, finish, parser_of, tell, write_figures
from benchmarks.faults.checks import Found, Seen, check_all, check_end, peek
from benchmarks.faults.site import DRIVER, GROUP, RUNNER, Site, end, kill, unkilled, wait_for

AUDIT = ("--audit", "0.5")
START, TRIALS, FINALISTS, AUDITED = "start", "trials", "finalists", "audit"
REPORT, BUNDLE = "report", "bundle"
VICTIMS = (DRIVER, DRIVER, GROUP, GROUP, RUNNER)


class Round:
    """One study, killed by a plan of its own, and resumed until it ends."""

    def __init__(self, site: Site, seed: int, keep: Callable[[dict[str, Any]], None]) -> None:
        self.site, self.rng, self.keep = site, random.Random(seed), keep
        self.seen, self.process = Seen(), None
        self.since, self.logged = 0.0, 0

    # -- moments ------------------------------------------------------------------------------------

    def _phase(self) -> str:
        """Where the session stands by what is on disk: first it takes the lock; once `ended` is set the audit
        runs, then files are written. Of an earlier session's `stopped` only the log can tell."""
        told, attributes = peek(self.site.database)
        self.seen.told.update(told)
        if not self._holds_lock():
            return BUNDLE if self._bundling() else REPORT if self._writing() else START
        if attributes.get("ended"):
            return AUDITED
        stopped = json.loads(attributes.get("record") or "{}").get("stopped")
        if not stopped:
            return TRIALS
        return FINALISTS if "finalists against each other" in self.site.said()[self.logged :] else START

    def _holds_lock(self) -> bool:
        """The kernel's own list of locks names the process and the file."""
        lock = self.site.run_dir / ".lock"
        if not lock.is_file() or self.process is None:
            return False
        held = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        wanted = (str(self.process.pid), str(lock.stat().st_ino))
        return any((words[4], words[5].rpartition(":")[2]) == wanted for words in held if "->" not in words)

    def _bundling(self) -> bool:
        return any(p.stat().st_mtime > self.since for p in self.site.run_dir.glob(".bundle.*"))

    def _writing(self) -> bool:
        folder = self.site.report
        return folder.is_dir() and any(p.stat().st_mtime > self.since for p in folder.iterdir())

    def _reached(self, phase: str, told: int) -> bool:
        if phase == REPORT:  # these pass in a moment: the disk is asked nothing else
            return self._writing()
        if phase == BUNDLE:
            return self._bundling()
        if self._phase() != phase:
            return False
        return phase != TRIALS or len(self.seen.told) >= told

    # -- kills --------------------------------------------------------------------------------------

    def killed(self, wanted: str, victim: str, wait_s: float, told: int = 0, *arguments: object) -> bool:
        """Kill a run in a phase; False where it came to its end before."""
        if self.process is None:
            self.since, self.logged = time.time(), len(self.site.said())
            self.process = self.site.start("run", *AUDIT, *arguments, self.site.study)
        poll = 0.001 if wanted in (REPORT, BUNDLE) else 0.05
        if not wait_for(self.process, lambda: self._reached(wanted, told), poll):
            return False
        return self._strike(victim, wait_s, lambda: self._phase())

    def command(self, wanted: str, victim: str, wait_s: float, *arguments: object) -> bool:
        """Kill another command a while after it has begun to write, or at any moment."""
        self.since = time.time()
        self.process = self.site.start(*arguments)
        if self.rng.random() < 0.7:
            aside = self.site.folder if wanted == "paretune export" else self.site.report
            fresh = [*aside.glob(".*")] if aside.is_dir() else []
            wait_for(self.process, lambda: [*aside.glob(".*")] != fresh, 0.001)
        else:
            wait_s = self.rng.uniform(0.2, 3)
        return self._strike(victim, wait_s, lambda: wanted)

    def _strike(self, victim: str, wait_s: float, phase: Callable[[], str]) -> bool:
        process = self.process
        assert process is not None
        time.sleep(wait_s)
        before = phase()
        hit = kill(process, victim, self.rng)
        ended = process.poll() is not None
        if hit and not ended:
            self._row(before, victim, Found())
        if ended:
            self.process = None
            found, _ = check_all(self.site, self.seen)
            if hit:
                self._row(before, victim, found)
        return hit

    def _row(self, phase: str, victim: str, found: Found) -> None:
        row = {"phase": phase, "victim": victim, "told": len(self.seen.told), **found.plain()}
        tell(f"{phase:<18} {victim:<19} {row['told']:3d} told  {found.plain()}")
        self.keep(row)

    # -- the plan -----------------------------------------------------------------------------------

    def go(self) -> dict[str, Any]:
        """All kills of the plan; how the study ended."""
        rng = self.rng
        for told in sorted(rng.sample(range(10, 19), 5)):
            self.killed(TRIALS, rng.choice(VICTIMS), rng.uniform(0, 8), told)
        for phase, longest in ((FINALISTS, 6.0), (FINALISTS, 6.0), (AUDITED, 8.0), (AUDITED, 8.0)):
            self.killed(phase, rng.choice(VICTIMS), rng.uniform(0, longest))
        # What had ended is begun anew by --again; what a kill left unfinished goes on by itself.
        again: tuple[str, ...] = ()
        files = [(REPORT, 0.5), (BUNDLE, 0.03)]
        for phase, longest in [*files, *rng.sample([*files, *files, (FINALISTS, 6.0)], 3)]:
            self.killed(phase, rng.choice((DRIVER, GROUP)), rng.uniform(0, longest), 0, *again)
            self._ended()
            again = ("--again",)
        for _ in range(2):
            self.command("paretune report", DRIVER, rng.uniform(0, 0.5), "report", self.site.study)
            self._clean("report", self.site.study)
            self._export()
        return self._ended()

    def _export(self) -> None:
        report = json.loads((self.site.report / "report.json").read_text())
        complete = [t for t in report["record"]["trials"] if t["evaluation"]["outcome"] == "complete"]
        export = ("export", self.site.study, self.rng.choice(complete)["number"], "-o", self.site.exported)
        self.command("paretune export", DRIVER, self.rng.uniform(0, 0.03), *export)
        if not self.site.exported.exists():
            self._clean(*export)
        for path in self.site.exported.iterdir():
            path.unlink()
        self.site.exported.rmdir()

    def _clean(self, *arguments: object) -> None:
        code = unkilled(self.site, *arguments)
        if code not in (0, 2):
            self.keep({"phase": f"{arguments[0]} after the kill", "broken": f"exit status {code}"})

    def _ended(self) -> dict[str, Any]:
        """Let the study run to its end, and check it there."""
        if self.process is not None:
            code = int(self.process.wait(timeout=900))
            self.process = None
        else:
            code = unkilled(self.site, "run", self.site.study)
        found = check_end(self.site, self.seen, code) if code in (0, 2) else Found(lost=[f"status {code}"])
        tell(f"{'ended':<18} exit status {code}       {found.plain()}")
        self.keep({"phase": "resumed to the end", **found.plain()})
        return {"exit_code": code, "status": self._answer()}

    def _answer(self) -> str:
        return str(json.loads((self.site.report / "report.json").read_text())["verdict"]["status"])


def scores(site: Site) -> dict[str, dict[str, float]]:
    """What is the same in every study of the same data: by candidate, of complete trials."""
    report = json.loads((site.report / "report.json").read_text())
    found = {}
    for trial in report["record"]["trials"]:
        evaluation = trial["evaluation"]
        if evaluation["outcome"] == "complete" and not evaluation["ladder"]:
            metrics = evaluation["metrics"]
            name = json.dumps(evaluation["candidate"], sort_keys=True)
            found[name] = {m: metrics[m]["value"] for m in ("accuracy", "size_bytes")}
    return found


def work(options: Options) -> dict[str, Any]:
    figures: dict[str, Any] = {"kills": [], "rounds": []}

    def keep(row: dict[str, Any], number: int) -> None:
        figures["kills"].append({"round": number, **row})
        write_figures(options.out, figures)

    with tempfile.TemporaryDirectory(prefix="kills-", dir=options.folder) as name:
        root = Path(name)
        whole = Site(root / "unkilled", root / "unkilled.log")
        code = unkilled(whole, "run", *AUDIT, whole.study)
        wanted = scores(whole)
        tell(f"a study that nobody killed: exit status {code}, {len(wanted)} complete")
        for number in range(options.rounds):
            site = Site(root / f"round-{number}", root / f"round-{number}.log")
            one = Round(site, options.seed + number, lambda row, n=number: keep(row, n))
            try:
                ended = one.go()
            finally:
                end(one.process)
                keep_log(site.log, options.out.with_suffix(f".{number}.log"))
            mine = scores(site)
            shared = mine.keys() & wanted.keys()
            differ = [name for name in shared if mine[name] != wanted[name]]
            figures["rounds"].append({**ended, "unkilled": code, "compared": len(shared), "differ": differ})
    return {**figures, "table": table(figures["kills"])}


def keep_log(log: Path, into: Path) -> None:
    if log.is_file():
        into.write_bytes(log.read_bytes())


def table(rows: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Kills and what was found, by phase."""
    found: dict[str, Counter[str]] = {}
    for row in rows:
        counts = found.setdefault(row["phase"], Counter(kills=0, lost=0, corrupt=0, twice=0))
        counts["kills"] += "victim" in row
        for what in ("lost", "corrupt", "twice"):
            counts[what] += len(row.get(what, ()))
        counts["corrupt"] += "broken" in row
    return {phase: dict(counts) for phase, counts in found.items()}


def show(figures: dict[str, Any]) -> None:
    print(f"{'phase':<20} {'kills':>6} {'lost':>6} {'corrupt':>8} {'twice':>6}")
    for phase, counts in figures["table"].items():
        print(f"{phase:<20} {counts['kills']:6} {counts['lost']:6} {counts['corrupt']:8} {counts['twice']:6}")
    for ended in figures["rounds"]:
        print(f"compared with an unkilled study: {ended['compared']}, different: {len(ended['differ'])}")


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="studies; each is killed some 15 times")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--folder", type=Path, default=None, help="where the studies lie meanwhile")
    return finish(work, parser.parse_args(arguments), show)


if __name__ == "__main__":
    sys.exit(main())
