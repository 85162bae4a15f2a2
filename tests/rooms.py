"""The rooms of the house, read from the code: `python tests/rooms.py` prints lines, floors and imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("profiles", "backends", "search", "reports")


def room_of(module: str) -> str:
    """`search.gate.bounds` is in the room `search.gate`; each wing of `search.stages` is a room too."""
    parts = module.split(".")
    if parts[0] not in PACKAGES:
        return parts[0]
    if parts[0] == "profiles":  # what lies in the storey itself is what all its rooms share
        return ".".join(parts[:2]) if len(parts) > 1 and (ROOT / parts[0] / parts[1]).is_dir() else parts[0]
    depth = 3 if parts[:2] == ["search", "stages"] else 2
    return ".".join(parts[:depth])


@dataclass(frozen=True)
class Module:
    """One file: its dotted name below the package, and the tree of its code."""

    path: Path
    name: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    @property
    def room(self) -> str:
        return room_of(self.name)

    @property
    def lines(self) -> int:
        return len(self.path.read_text(encoding="utf-8").splitlines())

    def imports(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each import of ours: the module's dotted name, and the names taken from it."""
        package = [*self.name.split("."), "?"] if self.path.name == "__init__.py" else self.name.split(".")
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and (
                node.level or (node.module or "").startswith("paretune")
            ):
                base = package[: len(package) - node.level] if node.level else []
                words = [*base, *(node.module or "").removeprefix("paretune").strip(".").split(".")]
                yield ".".join(filter(None, words)), tuple(alias.name for alias in node.names)
            elif isinstance(node, ast.Import):
                ours = [alias.name for alias in node.names if alias.name.split(".")[0] == "paretune"]
                yield from ((name.partition(".")[2], ()) for name in ours)


@cache
def modules() -> tuple[Module, ...]:
    """Every file of the product's four packages."""
    files = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return tuple(Module(path, _name(path)) for path in files)


@cache
def known_names() -> frozenset[str]:
    """The dotted name of each of them."""
    return frozenset(module.name for module in modules())


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports_between_rooms() -> dict[str, set[str]]:
    """Room to the rooms that it imports."""
    found: dict[str, set[str]] = {}
    for module in modules():
        targets = found.setdefault(module.room, set())
        targets |= {room for room in imported_rooms(module) if room != module.room}
    return found


def imported_rooms(module: Module) -> set[str]:
    """The rooms that one file imports, where `from . import x` may name a room as well."""
    known = known_names()
    rooms = set()
    for name, taken in module.imports():
        whole = [f"{name}.{one}".strip(".") for one in taken if f"{name}.{one}".strip(".") in known]
        rooms |= {room_of(one) for one in whole or [name] if one}
    return rooms


def circles(graph: dict[str, set[str]]) -> list[str]:
    """Rooms that lead back to themselves."""
    return sorted(room for room in graph if room in reachable(graph, room))


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    """All that is imported from `start` on, over any number of imports."""
    seen: set[str] = set()
    waiting = list(graph.get(start, ()))
    while waiting:
        room = waiting.pop()
        if room not in seen:
            seen.add(room)
            waiting += graph.get(room, ())
    return seen


def floors(graph: dict[str, set[str]]) -> dict[str, int]:
    """A room stands above all that it imports; the ground is floor 1. The graph has no circle."""
    found: dict[str, int] = {}

    def floor(room: str) -> int:
        if room not in found:
            found[room] = 1 + max((floor(below) for below in graph.get(room, ())), default=0)
        return found[room]

    for room in graph:
        floor(room)
    return found


def longest_functions(over: int) -> list[tuple[str, int]]:
    """Functions of more than so many lines, with their length."""
    found = [(f"{m.name}.{node.name}", _length(node)) for m in modules() for node in functions(m)]
    return sorted((one for one in found if one[1] > over), key=lambda one: -one[1])


def functions(module: Module) -> Iterator[ast.FunctionDef]:
    """Every function and method of a file."""
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef))


def _length(node: ast.FunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def package_report(package: str) -> Iterator[str]:
    """Lines, rooms, floors and imports of one package, then a line for each room from the top."""
    graph = {r: t for r, t in imports_between_rooms().items() if r.split(".")[0] == package and r != package}
    graph = graph or {package: set()}
    inside = {
        room: {t for t in below if t.split(".")[0] == package} - {package} for room, below in graph.items()
    }
    height = {} if circles(inside) else floors(inside)
    lines = {room: [m.lines for m in modules() if m.room == room] for room in inside}
    upward = sum(height[above] <= height[below] for above in height for below in inside[above])
    yield (
        f"{package}/: {sum(map(sum, lines.values()))} lines, {len(inside)} rooms, "
        f"{max(height.values(), default=0)} floors, {sum(map(len, inside.values()))} imports between rooms, "
        f"{upward} upward, {len(circles(inside))} rooms in circles"
    )
    for room in sorted(inside, key=lambda room: (-height.get(room, 0), room)):
        below = " ".join(sorted(graph[room]))
        size = f"{sum(lines[room]):5} lines {len(lines[room]):3} files"
        yield f"  floor {height.get(room, 0)}  {room:24} {size}  > {below}"


def main() -> None:
    """Print what a reader of the house asks first."""
    for package in reversed(PACKAGES):
        print("\n".join(package_report(package)))
    lengths = [_length(node) for module in modules() for node in functions(module)]
    files = [module.lines for module in modules() if module.path.name != "__init__.py"]
    print(
        f"functions: {len(lengths)}, median {median(lengths):g} lines, longest {max(lengths)}; "
        f"files: {len(files)}, median {median(files):g} lines, longest {max(files)}"
    )


if __name__ == "__main__":
    main()
