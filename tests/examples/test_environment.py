"""The environment that `make setup` makes: what breaks others stays out of it."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APART = ("timm", "torchvision")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with Python 3.11")
def test_what_breaks_models_of_transformers_is_not_part_of_it():
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked, todo = set(), ["dev"]
    while todo:
        for requirement in extras[todo.pop()]:
            name, inner = re.match(r"([\w-]+)(?:\[([\w,-]+)\])?", requirement).groups()
            todo += inner.split(",") if name == "paretune" else []
            asked.add(name)
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert not set(APART) & (asked | pinned)
    assert {"hypothesis", "torchmetrics", "pycocotools"} <= asked & pinned
