"""What the untrained networks of a recorded space tell, computed by the product and kept with its table.

    python -m benchmarks.exhaustive.untrained --study STUDY --store STORE --table DIRECTORY

Writes `untrained.json` into the table's directory: structure and zero-cost proxies of each different network.
The teacher is trained if the store does not have it.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

from paretune.search.job.job import load_job
from paretune.search.record.candidate import Candidate
from paretune.search.record.progress import Progress
from paretune.search.record.untrained import Untrained
from paretune.search.space.space import Space
from paretune.search.stages.models.torch_models import TorchModels
from paretune.search.store.store import Store

from benchmarks.command import ended
from benchmarks.exhaustive.table import table_parser
from benchmarks.exhaustive.told import UNTRAINED, network_of, write_untrained


def told_of(models: TorchModels, space: Space) -> dict[str, Untrained]:
    """What each different network of a space tells."""
    classes = (candidate.hardware_class() for candidate in space.candidates())
    return {network: _told(models, one) for network, one in {network_of(one): one for one in classes}.items()}


def _told(models: TorchModels, candidate: Candidate) -> Untrained:
    proxies = models.looks.at(candidate, lambda entry: None)
    rounded = {name: float(f"{value:.8g}") for name, value in proxies.items()}
    return replace(models.untrained(candidate), proxies=rounded)


def main(argv: list[str] | None = None) -> int:
    options = table_parser(__doc__).parse_args(argv)

    def written() -> Path:
        job = load_job(options.study)
        models = TorchModels(job.loaded, Store(options.store), Progress(), 1, fallback=job.space.recipe)
        models.prepare(job.space)
        write_untrained(told_of(models, job.space), options.table)
        return options.table / UNTRAINED

    return ended(written)


if __name__ == "__main__":
    sys.exit(main())
