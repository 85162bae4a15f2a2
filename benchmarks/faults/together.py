"""Two studies at work on one store, while two `store gc` at a time remove from it what nobody needs.

    python -m benchmarks.faults.together --out together.json

Each of the tidying commands finds entries of no run that nobody has asked for in a month. Both studies have
to end as they do alone, none of their entries may be gone, damaged or made twice, and of two `gc` at once one
works and the other says so (exit status 1).
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from benchmarks.command import Options, finish, parser_of
from benchmarks.faults.checks import Seen, check_end
from benchmarks.faults.site import end
from benchmarks.faults.toy import ENVIRONMENT, toy_site, with_junk
from benchmarks.faults.warm import Warm

NAMES = ("first", "second")


def work(options: Options) -> dict[str, Any]:
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="together-", dir=options.folder)))
        warm = [stack.enter_context(closing(Warm(ENVIRONMENT))) for _ in range(4)]
        sites = [toy_site(root, server, name=name) for name, server in zip(NAMES, warm, strict=False)]
        tidying = [toy_site(root, server, name=NAMES[0]) for server in warm[2:]]
        for site, name in zip([*sites, *tidying], [*NAMES, "gc-1", "gc-2"], strict=True):
            site.log = root / f"{name}.log"
        studies = [site.start("run", site.study) for site in sites]
        codes: Counter[int] = Counter()
        junk: list[Path] = []
        while any(study.poll() is None for study in studies):
            if (sites[0].run_dir / "run.json").is_file():
                junk += with_junk(sites[0], 20, len(junk), 30)
                both = [site.start("store", "gc", site.study) for site in tidying]
                codes.update(job.wait(300) for job in both)
            time.sleep(0.2)
        for study in studies:
            end(study)
        found = [
            check_end(site, Seen(), study.returncode) for site, study in zip(sites, studies, strict=True)
        ]
        freed = sum(not path.exists() for path in junk)
        said = [site.said()[-800:] for site in tidying if "Traceback" in site.said()]
    return {
        "studies": [study.returncode for study in studies],
        "gc": {str(code): count for code, count in codes.items()},
        "junk": len(junk),
        "freed": freed,
        "found": [one.plain() for one in found],
        "tracebacks": said,
    }


def show(figures: dict[str, Any]) -> None:
    print(figures)


def main(arguments: list[str] | None = None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--folder", type=Path, default=None, help="where the studies lie meanwhile")
    return finish(work, parser.parse_args(arguments), show)


if __name__ == "__main__":
    sys.exit(main())
