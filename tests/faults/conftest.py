"""Benchmarks are run from the root: `python -m benchmarks.exhaustive.run`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))
