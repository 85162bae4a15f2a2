"""Errors go from a worker's process to its driver's: each comes through as it is."""

import inspect
import pickle
import re
from importlib import import_module
from pathlib import Path

import pytest
from paretune.backends.runner.launch import LocalLaunch
from paretune.backends.runner.trouble import Trouble
from paretune.profiles.errors import ParetuneError
from paretune.search.record.agreement import Agreement

ROOT = Path(__file__).parents[2]
GIVEN = {
    "launch": LocalLaunch(),
    "trouble": Trouble.SILENT,
    "agreement": Agreement(agrees=False, output="y", samples=1, there={"ort": "1.0"}, why="off"),
}
"""What arguments are that are no text, by their name."""


def subclasses(of):
    for one in of.__subclasses__():
        yield from (one, *subclasses(one))


def all_errors():
    """Each class, from every module of ours that defines one."""
    for package in ("backends", "profiles", "reports", "search"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if re.search(r"^class \w+\([^)]*Error\b", path.read_text(encoding="utf-8"), re.MULTILINE):
                import_module(".".join(("paretune", *path.relative_to(ROOT).with_suffix("").parts)))
    found = {one for one in subclasses(ParetuneError) if one.__module__.startswith("paretune.")}
    return sorted(found, key=lambda one: one.__name__)


def made(error):
    """One of that class, by what it asks for."""
    asked = list(inspect.signature(error.__init__).parameters.values())[1:]
    needed = [one for one in asked if one.default is one.empty and one.kind is not one.VAR_KEYWORD]
    values = {one.name: GIVEN.get(one.name, f"the {one.name}") for one in needed}
    named = {one.name: values.pop(one.name) for one in needed if one.kind is one.KEYWORD_ONLY}
    return error(*values.values(), **named)


@pytest.mark.parametrize("error", all_errors(), ids=lambda one: one.__name__)
def test_an_error_is_the_same_in_another_process(error):
    here = made(error)
    there = pickle.loads(pickle.dumps(here))
    assert type(there) is error
    assert (str(there), there.args, vars(there)) == (str(here), here.args, vars(here))
