"""Power cuts: a study is run once, and what would be left is looked at after each of its syncs.

    python -m benchmarks.faults.power --out power.json

What was not synced is gone: a file has the content of its last fsync, a folder the names of its last
(`shim.py`). After every cut no told trial may be missing, the database, each entry of the store, report and
bundle must be whole or not there; after some of them the study is run to its end as well.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.command import Options, finish, parser_of, tell
from benchmarks.faults.checks import Found, Seen, check_all, check_end
from benchmarks.faults.shim import Remembered, built
from benchmarks.faults.site import Site, unkilled
from benchmarks.faults.toy import ENVIRONMENT, toy_site
from benchmarks.faults.warm import Warm

STATED = (0, 2)


class Cuts:
    """Commands in a site's folder, one after the other, and the power cuts in them."""

    def __init__(self, root: Path, site: Site, *commands: tuple[str, ...]) -> None:
        self.site, self.codes = site, []
        site.log = root / "log"
        self.remembered = Remembered(site.folder, root / "synced")
        site.environment = self.remembered.environment
        for verb, *options in commands:
            self.codes.append(unkilled(site, verb, *options, site.study))
        site.environment = dict.fromkeys(site.environment, "")
        self.said = site.said()

    def after(self, number: int) -> Found:
        """What is wrong with what a cut after that sync leaves, and nothing where all is well."""
        shutil.rmtree(self.site.folder, ignore_errors=True)
        self.remembered.after(number, self.site.folder)
        self.site.log.write_text(
            self.said.encode()[: self.remembered.said_by(number)].decode(errors="replace")
        )
        return self.checked()

    def checked(self) -> Found:
        """What is wrong with what lies there, by what was said."""
        return check_all(self.site, Seen())[0]

    def goes_on(self, number: int) -> tuple[int, Found]:
        """The study after that cut, run to its end: exit status, and what is wrong."""
        seen = Seen()
        found = self.after(number)
        check_all(self.site, seen)
        code = unkilled(self.site, "run", self.site.study)
        ended = check_end(self.site, seen, code) if code in STATED else Found(lost=[self.site.said()[-500:]])
        return code, Found(*(a + b for a, b in zip(found.parts, ended.parts, strict=True)))


def work(options: Options) -> dict[str, Any]:
    warm = Warm({**ENVIRONMENT, "LD_PRELOAD": str(built())})
    figures: dict[str, Any] = {"cuts": 0, "lost": [], "corrupt": [], "twice": [], "resumed": 0, "exits": []}
    try:
        with tempfile.TemporaryDirectory(prefix="power-", dir=options.folder) as name:
            cuts = Cuts(Path(name), toy_site(Path(name) / "site", warm, budget={"trials": 3}), ("run",))
            tell(f"{cuts.remembered.syncs} syncs, ended with {cuts.codes}")
            every = range(cuts.remembered.syncs + 1)
            resumed = set(random.Random(options.seed).sample(every, min(options.resumed, len(every))))
            for number in every:
                found = cuts.after(number)
                if number in resumed:
                    code, found = cuts.goes_on(number)
                    figures["exits"].append(code)
                    tell(f"after sync {number}: resumed, ended with {code} {found.plain()}")
                figures["cuts"] += 1
                for what, texts in found.plain().items():
                    figures[what] += [f"after sync {number}: {text}" for text in texts]
                    if texts:
                        tell(f"after sync {number}: {what} {texts[:3]}")
            figures["resumed"] = len(resumed)
    finally:
        warm.close()
    return figures


def show(figures: dict[str, Any]) -> None:
    counts = {name: len(figures[name]) for name in ("lost", "corrupt", "twice")}
    print(f"{figures['cuts']} power cuts: {counts}; {figures['resumed']} resumed: {set(figures['exits'])}")


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument(
        "--resumed", type=int, default=20, help="after so many cuts the study is run to its end"
    )
    parser.add_argument("--seed", type=int, default=0, help="of which these are")
    parser.add_argument("--folder", type=Path, default=None, help="where the studies lie meanwhile")
    return finish(work, parser.parse_args(arguments), show)


if __name__ == "__main__":
    sys.exit(main())
