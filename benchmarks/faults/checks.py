"""What stands on disk, read by nothing of the product: sqlite3, hashes, JSON and CSV."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.faults.site import Site

ENDED_STATES = ("COMPLETE", "PRUNED", "FAIL")
_TOLD = re.compile(r"^ *(\d+)  (?:complete|gated|refused|failed) ", re.M)
_READ = {"trials", "trial_user_attributes", "study_user_attributes"}
_REPORT = ("report.html", "report.md", "trials.csv", "report.json")
_OF_A_SESSION = "session/"  # which takes its entry with it


@dataclass
class Seen:
    """What was on disk once and must stay: told trials, and entries with what tells one that was remade."""

    told: dict[int, tuple[str, str]] = field(default_factory=dict)
    entries: dict[str, tuple[int, int, float]] = field(default_factory=dict)


@dataclass
class Found:
    lost: list[str] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)

    @property
    def parts(self) -> tuple[list[str], list[str], list[str]]:
        return self.lost, self.corrupt, self.twice

    def plain(self) -> dict[str, list[str]]:
        return {"lost": self.lost, "corrupt": self.corrupt, "twice": self.twice}


# -- the database -------------------------------------------------------------------------------------


def live(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)


def told_in(base: sqlite3.Connection) -> dict[int, tuple[str, str]]:
    """Number of each trial that was told -> its state and what it was told, as text."""
    rows = base.execute(
        "SELECT t.number, t.state, a.value_json FROM trials t JOIN trial_user_attributes a"
        " ON a.trial_id = t.trial_id WHERE a.key IN ('evaluation', 'duplicate_of')"
    )
    return {number: (state, text) for number, state, text in rows if state in ENDED_STATES}


def attributes_in(base: sqlite3.Connection) -> dict[str, Any]:
    rows = base.execute("SELECT key, value_json FROM study_user_attributes")
    return {key: json.loads(text) for key, text in rows}


def peek(database: Path) -> tuple[dict[int, tuple[str, str]], dict[str, Any]]:
    """What is committed while the driver runs; nothing where there is no study yet."""
    try:
        with closing(live(database)) as base:
            return told_in(base), attributes_in(base)
    except sqlite3.Error:
        return {}, {}


def shown_in(said: str) -> set[int]:
    """The numbers of trials that a terminal showed as told."""
    return set(map(int, _TOLD.findall(said)))


def check_database(site: Site, seen: Seen, found: Found) -> dict[str, Any]:
    """The study's attributes. The file is copied with its log, so that looking at it changes nothing."""
    shown = shown_in(site.said())  # first: a study that is not killed goes on meanwhile
    with tempfile.TemporaryDirectory() as folder:
        for name in ("study.db", "study.db-wal"):
            if (site.run_dir / name).is_file():
                shutil.copy(site.run_dir / name, folder)
        with closing(sqlite3.connect(f"{folder}/study.db")) as base:
            said = base.execute("PRAGMA integrity_check").fetchall()
            if said != [("ok",)]:
                found.corrupt.append(f"database: {said}")
            now, attributes, numbers = {}, {}, Counter[int]()
            tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master")}
            if tables >= _READ:  # else nothing was committed yet
                now, attributes = told_in(base), attributes_in(base)
                numbers.update(number for (number,) in base.execute("SELECT number FROM trials"))
    found.twice += [f"trial number {number}" for number, count in numbers.items() if count > 1]
    for number, was in seen.told.items():
        if now.get(number) != was:
            found.lost.append(f"trial {number}: {was[0]}, now {now.get(number, ('missing',))[0]}")
    found.lost += [f"trial {number}, which the terminal showed" for number in shown - now.keys()]
    found.twice += _evaluated_twice(now, found)
    seen.told.update(now)
    return attributes


def _evaluated_twice(told: dict[int, tuple[str, str]], found: Found) -> list[str]:
    """Candidates with two complete evaluations, and stages that two evaluations have both made."""
    complete: Counter[str] = Counter()
    made: Counter[str] = Counter()
    for number, (_, text) in told.items():
        try:
            plain = json.loads(json.loads(text)) if text.startswith('"') else None
        except ValueError:
            found.corrupt.append(f"trial {number}")
            continue
        if plain is None:  # a duplicate names the trial that it repeats
            continue
        if plain["outcome"] == "complete":
            complete[json.dumps(plain["candidate"], sort_keys=True)] += 1
        if not plain.get("paused"):  # its training goes on from there in another evaluation
            made.update({f"{s['name']} {s['key'][:12]}" for s in plain["stages"] if not s["cached"]})
    twice = [f"candidate {text}" for text, count in complete.items() if count > 1]
    return twice + [f"stage {text}" for text, count in made.items() if count > 1]


# -- store, report, bundle ------------------------------------------------------------------------------


def entries_in(store: Path) -> list[Path]:
    if not store.is_dir():
        return []
    stages = [path for path in store.iterdir() if not path.name.startswith(".")]
    return [entry for stage in stages for entry in stage.iterdir()]


def check_store(site: Site, seen: Seen, found: Found) -> None:
    now: dict[str, tuple[int, int, float]] = {}
    for entry in entries_in(site.store):
        name = f"{entry.parent.name}/{entry.name[:12]}"
        try:
            manifest = json.loads((entry / "manifest.json").read_text())
            about = (entry / "manifest.json").stat()
            now[name] = (about.st_ino, about.st_mtime_ns, manifest["created"])
            wrong = misfits(entry, manifest["files"])
        except (OSError, ValueError, KeyError) as error:
            wrong = [repr(error)]
        found.corrupt += [f"entry {name}: {what}" for what in wrong]
    gone = [name for name in seen.entries.keys() - now.keys() if not name.startswith(_OF_A_SESSION)]
    found.lost += [f"entry {name}" for name in gone]
    found.twice += [f"entry {n}" for n in seen.entries.keys() & now.keys() if seen.entries[n] != now[n]]
    seen.entries.update(now)


def misfits(folder: Path, files: dict[str, dict[str, Any]]) -> list[str]:
    """What of a folder is not as its manifest says."""
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {"manifest.json"}
    wrong = [f"{name} is there or not" for name in there ^ files.keys()]
    for name in there & files.keys():
        data = (folder / name).read_bytes()
        told = files[name]
        if (len(data), hashlib.sha256(data).hexdigest()) != (told["size_bytes"], told["sha256"]):
            wrong.append(f"{name} is another")
    return wrong


def check_bundle(bundle: Path, found: Found) -> None:
    """Whole, or not there at all."""
    if not bundle.exists():
        return
    try:
        manifest = json.loads((bundle / "manifest.json").read_text())
        found.corrupt += [f"{bundle.name}: {what}" for what in misfits(bundle, manifest["files"])]
    except (OSError, ValueError, KeyError) as error:
        found.corrupt.append(f"{bundle.name}: {error!r}")


def check_report(site: Site, found: Found, *, complete: bool = False) -> None:
    """Each form whole or absent; where the command has come to its `complete` end all four say the same."""
    there = {name: (site.report / name) for name in _REPORT if (site.report / name).is_file()}
    numbers: dict[str, list[int]] = {}
    for name, path in there.items():
        text = path.read_text()
        try:
            if name.endswith(".json"):
                numbers[name] = [trial["number"] for trial in json.loads(text)["record"]["trials"]]
            elif name.endswith(".csv"):
                numbers[name] = [int(row["trial"]) for row in csv.DictReader(text.splitlines())]
            whole = text.rstrip().endswith("</html>") if name.endswith(".html") else text.endswith("\n")
        except (ValueError, KeyError) as error:
            whole = False
            found.corrupt.append(f"{name}: {error!r}")
        if not whole and not name.endswith(".json"):
            found.corrupt.append(f"{name} is cut off")
    if complete and len(there) < len(_REPORT):
        found.corrupt.append(f"the report has only {sorted(there)}")
    if complete and numbers.get("report.json") != numbers.get("trials.csv"):
        found.corrupt.append("report.json and trials.csv are of different records")


def check_all(site: Site, seen: Seen) -> tuple[Found, dict[str, Any]]:
    """After a kill, whenever it came."""
    found = Found()
    attributes = check_database(site, seen, found) if site.database.is_file() else {}
    if not site.database.is_file():
        shown = seen.told.keys() | shown_in(site.said())
        found.lost += [f"trial {number}, with the whole database" for number in shown]
    check_store(site, seen, found)
    check_bundle(site.bundle, found)
    check_bundle(site.exported, found)
    check_report(site, found)
    return found, attributes


def check_end(site: Site, seen: Seen, code: int) -> Found:
    """After a run that came to its end: report and bundle are of what the database holds, nothing is left."""
    found, attributes = check_all(site, seen)
    check_report(site, found, complete=True)
    found.corrupt += [f"left over: {path}" for path in leftovers(site)]
    if not (site.report / "report.json").is_file():
        return found
    plain = json.loads((site.report / "report.json").read_text())
    if code != plain["exit_code"]:
        found.corrupt.append(f"exit status {code}, the report says {plain['exit_code']}")
    if [t["number"] for t in plain["record"]["trials"]] != sorted(seen.told):
        found.corrupt.append("the report is not of the trials in the database")
    kept = json.loads(attributes["record"])
    for name in ("finalists", "audit"):
        if [one["number"] for one in plain["record"][name]] != [one["number"] for one in kept[name]]:
            found.corrupt.append(f"{name} of the report are not those of the database")
    if kept["finalists"] and plain["record"]["finalists"][0]["metrics"] != kept["finalists"][0]["metrics"]:
        found.corrupt.append("finalists of the report were measured another time")
    manifest = site.bundle / "manifest.json"
    wanted = plain["verdict"]["recommended"]
    if manifest.is_file() and json.loads(manifest.read_text())["trial"] != wanted:
        found.corrupt.append("the bundle is not of what is recommended")
    return found


def leftovers(site: Site) -> list[str]:
    """What nothing will ever use again."""
    making, work = site.store / ".making", site.store / ".work"
    left = [*making.iterdir()] if making.is_dir() else []
    left += [*work.iterdir()] if work.is_dir() else []
    left += [path for path in site.run_dir.rglob(".*") if path.name != ".lock"]
    left += [*site.run_dir.glob("study.db-*"), *site.folder.glob(".bundle.*")]
    return [str(path.relative_to(site.folder)) for path in left]
