"""The extras: each is whole by itself, all go together, and what is installed is what is pinned."""

import ast
import re
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
import tomllib
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from paretune.backends.registry import backend_names, get_backend, plugins
from resolving import Dist, pinned, resolve

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
APART = {"all", "dev", "timm"}  # timm wants an environment of its own, as pyproject.toml says
OURS = [name for name in backend_names() if name not in plugins()]
INSTALL = r"pip install 'paretune\[([a-z0-9]+)\]'"
SINGLE = sorted(EXTRAS.keys() - APART)


def flat(extra):
    """The requirements of an extra; those that name extras of ours are replaced by what these ask for."""
    for text in EXTRAS[extra]:
        requirement = Requirement(text)
        if requirement.name == PROJECT["name"]:
            for other in sorted(requirement.extras):
                yield from flat(other)
        else:
            yield text


def test_all_is_every_extra_but_what_wants_an_environment_of_its_own():
    (everything,) = EXTRAS["all"]
    assert Requirement(everything).extras == set(SINGLE)


@pytest.mark.parametrize("name", OURS)
def test_the_command_that_installs_a_runtime_names_an_extra_that_brings_it(name):
    backend = get_backend(name)
    match = re.fullmatch(INSTALL, backend.install)
    assert match, backend.install
    found = resolve(flat(match[1]))
    assert found.versions.keys() & {package.lower() for package in backend.packages}


def imported(folder):
    """Top-level modules of others that the files of a folder import, at their head or inside functions."""
    names = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(str(node.module).partition(".")[0])
    return names - sys.stdlib_module_names - {PROJECT["name"]}


@cache
def bringers():
    """The distributions that bring each top-level module."""
    return metadata.packages_distributions()


@pytest.mark.parametrize("name", OURS)
def test_a_room_imports_what_its_own_extra_brings(name):
    backend, by_module = get_backend(name), bringers()
    extra = re.fullmatch(INSTALL, backend.install)[1]
    brought = resolve([*PROJECT["dependencies"], *flat(extra)]).versions.keys()
    others = imported(ROOT / "backends" / name) - {package.replace("-", "_") for package in backend.packages}
    makers = {one: {str(canonicalize_name(dist)) for dist in by_module.get(one, ())} for one in others}
    assert {one: dists for one, dists in makers.items() if not dists & brought} == {}


@pytest.mark.parametrize("extra", [None, *SINGLE])
def test_each_extra_is_whole_by_itself(extra):
    found = resolve([*PROJECT["dependencies"], *(flat(extra) if extra else ())])
    assert found.problems == []


def test_all_extras_go_together_in_the_versions_that_are_pinned():
    found = resolve([*PROJECT["dependencies"], *flat("dev")])
    assert found.problems == []
    pins = pinned((ROOT / "constraints.txt").read_text().splitlines())
    here = {name: Version(version).public for name, version in found.versions.items()}
    assert {name: pins.get(name, "") for name in here.keys() - {"setuptools"}}.items() <= here.items()


CONVERTER = {
    "litert-converter": Dist("0.5.0", ("xdsl==0.28.0",)),
    "xdsl": Dist("0.28.0", ("typing-extensions<4.13,>=4.7",)),
    "apache-tvm": Dist("0.27.0", ("apache-tvm-ffi>=0.1.14",)),
    "apache-tvm-ffi": Dist("0.1.14", ("typing-extensions>=4.13", "torch; extra == 'cpp'")),
}


@pytest.mark.parametrize("version", ["4.12.2", "4.15.0"])
def test_a_conflict_is_found_whichever_version_is_installed(version):
    """TVM 0.27 and LiteRT's converter, which is why 0.26 is pinned."""
    at_hand = {**CONVERTER, "typing-extensions": Dist(version)}.get
    assert resolve(["litert-converter==0.5.0"], at_hand).problems == [] or version == "4.15.0"
    assert resolve(["apache-tvm"], at_hand).problems == [] or version == "4.12.2"
    (problem,) = resolve(["litert-converter==0.5.0", "apache-tvm"], at_hand).problems
    assert "typing-extensions" in problem
    assert version in problem


def test_what_is_missing_and_what_an_extra_asks_for_are_told():
    at_hand = {
        "a": Dist("1", ("b[fast]>=1", "c; python_version < '3'", "d; extra == 'more'")),
        "b": Dist("1"),
    }
    assert resolve(["a"], at_hand.get).problems == []
    (problem,) = resolve(["a[more]"], at_hand.get).problems
    assert problem.startswith("a needs d")
    fast = {**at_hand, "b": Dist("1", ("e>=2; extra == 'fast'",)), "e": Dist("1")}
    assert resolve(["a"], fast.get).problems == ['b needs e>=2; extra == "fast", 1 is at hand']
