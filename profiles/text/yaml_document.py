"""A YAML text as plain values that remember where each of them stands.

What a file may hold is bounded, so that no text costs more than a second or two: its depth, and the number of
its values with every alias counted as what it stands for. Nothing may contain itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from ..errors import UserError
from ..words import one_line
from .marks import Keys, Mark, Problem, dotted, several
from .yaml_values import PLAIN, ambiguous, scalar, shown_tag

DEEPEST, MOST_VALUES = 40, 50_000
_LONGEST_KEY = 200
_CONTAINERS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_MERGE = "<<"


@dataclass(frozen=True, kw_only=True)
class Document:
    """What a YAML file holds. `marks` has the places of keys and items, `written` the text of each scalar."""

    name: str
    text: str
    data: dict[str, Any]
    marks: Mapping[Keys, Mark]
    written: Mapping[Keys, str]

    def mark(self, keys: Keys) -> Mark | None:
        """Where a value stands; if it is not in the file, what it would stand in."""
        ways = (keys[:length] for length in range(len(keys), 0, -1))
        return next((self.marks[way] for way in ways if way in self.marks), None)

    def at(self, keys: Keys) -> str:
        """The place of a value, with the file's name."""
        mark = self.mark(keys)
        return f"{self.name}, {mark}" if mark else self.name

    def place_of(self, said: str) -> str:
        """A place that is told by its dotted way, or by the text that stands there, with its line and column;
        any other place as it is."""
        known = {dotted(keys): keys for keys in self.marks}
        parts = said.split(".")
        ways = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
        texts = {text: keys for keys, text in self.written.items()}
        keys = next((known[way] for way in ways if way in known), texts.get(said))
        return said if keys is None else f"{self.at(keys)}: {said}"


def read_document(text: str, name: str, what: str, free: Sequence[Keys] = ()) -> Document:
    """The mapping that a YAML text holds; `name` is its file, `what` says in messages what such files are.

    Below `free`, values have no type that says how to read them: there, what YAML's versions read differently
    is refused.

    Raises:
        UserError: not YAML, or one of the things that are not accepted in it (all of them in one message).
    """
    node = _node(text, name)
    if not isinstance(node, yaml.MappingNode):
        raise UserError(
            f"the {what} is not a mapping of keys to values",
            place=name,
            found={yaml.SequenceNode: "a list", yaml.ScalarNode: "a single value"}.get(type(node), "nothing"),
        )
    values = _Values(name=name, free=tuple(free))
    data = values.of(node, ())
    if values.problems:
        raise several(values.problems, name, what)
    return Document(name=name, text=text, data=data, marks=values.marks, written=values.written)


def _mark(mark: yaml.Mark) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


def _beyond(problem: str, name: str, mark: Any, accepted: str = "") -> UserError:
    """A bound is passed, or a value contains itself: reading ends here."""
    return UserError(problem, place=f"{name}, {_mark(mark)}" if mark else name, accepted=accepted)


class _Nodes(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML up to its nodes, with bounds; what a scalar says is not decided here."""

    def __init__(self, text: str, name: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self._name, self._count = name, 0
        self._open: list[str | None] = []

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in self._open:
                problem = f"the alias *{one_line(str(event.anchor), 80)} stands in what it names"
                raise _beyond(problem, self._name, event.start_mark)
            return super().compose_node(parent, index)
        self._count += 1
        if self._count > MOST_VALUES:
            raise _beyond("too many values", self._name, event.start_mark, f"up to {MOST_VALUES}")
        self._open.append(event.anchor)
        if len(self._open) > DEEPEST:
            raise _beyond("nested too deeply", self._name, event.start_mark, f"up to {DEEPEST} levels")
        node = super().compose_node(parent, index)
        self._open.pop()
        return node

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode and implicit[0]:
            return PLAIN
        return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]


def _node(text: str, name: str) -> yaml.Node | None:
    nodes = None
    try:
        nodes = _Nodes(text, name)
        return nodes.get_single_node()
    except UserError:
        raise
    except yaml.MarkedYAMLError as error:
        mark, problem = error.problem_mark or error.context_mark, error.problem or error.context
        if str(problem).startswith("but "):
            problem = f"{error.context}, {problem}"
    except Exception:  # what PyYAML does not foresee: "\U99999999" is a ValueError, or an OverflowError
        mark = nodes.get_mark() if nodes else None
        problem = "an escape or a character that stands for nothing"
    raise UserError(
        f"not valid YAML: {one_line(str(problem), 200)}",
        place=f"{name}, {_mark(mark)}" if mark else name,
        remedy="quote texts that contain ': ' or ' #'; no tabs",
    )


@dataclass(kw_only=True)
class _Values:
    """Makes values of nodes, and notes what cannot be accepted."""

    name: str
    free: tuple[Keys, ...]
    marks: dict[Keys, Mark] = field(default_factory=dict)
    written: dict[Keys, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    count: int = 0

    def of(self, node: yaml.Node, keys: Keys, depth: int = 1) -> Any:
        self.count += 1
        if self.count > MOST_VALUES:
            accepted = f"up to {MOST_VALUES}, aliases counted as what they name"
            raise _beyond("too many values", self.name, node.start_mark, accepted)
        if depth > DEEPEST:
            raise _beyond("nested too deeply", self.name, node.start_mark, f"up to {DEEPEST} levels")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, keys)
        if node.tag not in _CONTAINERS:
            self._refuse(node, keys, f"the tag {shown_tag(node.tag)!r} is not read; accepted: no tag")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, keys, depth)
        return [self._item(item, (*keys, index), depth) for index, item in enumerate(node.value)]

    def _refuse(self, node: yaml.Node, keys: Keys, problem: str) -> None:
        said = f"{dotted(keys)}: {problem}" if keys else problem
        self.problems.append((_mark(node.start_mark), said))

    def _item(self, node: yaml.Node, keys: Keys, depth: int) -> Any:
        self.marks[keys] = _mark(node.start_mark)
        return self.of(node, keys, depth + 1)

    def _scalar(self, node: yaml.ScalarNode, keys: Keys) -> Any:
        try:
            value = _said(node)
        except ValueError as error:
            self._refuse(node, keys, str(error))
            return None
        self.written[keys] = node.value
        free = any(keys[: len(place)] == place for place in self.free)
        if free and node.tag == PLAIN and ambiguous(node.value):
            problem = f"{one_line(node.value, 80)} is read in different ways by versions of YAML"
            self._refuse(
                node, keys, f"{problem}; accepted: true or false, a plain number, or a text in quotes"
            )
        return value

    def _mapping(self, node: yaml.MappingNode, keys: Keys, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            if _is_merge(key):
                found = {**self._merged(value, keys, depth), **found}
        own: set[str] = set()
        for key, value in node.value:
            name = None if _is_merge(key) else self._key(key, keys)
            if name is None:
                continue
            if name in own:
                self._refuse(key, keys, f"key {name!r} twice")
            own.add(name)
            self.marks[(*keys, name)] = _mark(key.start_mark)
            found[name] = self.of(value, (*keys, name), depth + 1)
        return found

    def _key(self, node: yaml.Node, keys: Keys) -> str | None:
        """The text of a key; None, and a problem, for anything else."""
        try:
            value = _said(node) if isinstance(node, yaml.ScalarNode) else node.value
        except ValueError:
            value = None
        if isinstance(value, str) and value.isprintable() and len(value) <= _LONGEST_KEY:
            return value
        shown = f"the key {one_line(repr(node.value), 80)}" if isinstance(node, yaml.ScalarNode) else "a key"
        accepted = f"up to {_LONGEST_KEY} visible characters, in quotes if they read as something else"
        self._refuse(node, keys, f"{shown} is no plain text; accepted: {accepted}")
        return None

    def _merged(self, node: yaml.Node, keys: Keys, depth: int) -> dict[str, Any]:
        """What `<<` brings in: a mapping, or a list of mappings of which the first counts most."""
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, Any] = {}
        for part in parts:
            if isinstance(part, yaml.MappingNode):
                found = {**self.of(part, keys, depth + 1), **found}
            else:
                self._refuse(part, keys, "`<<` takes a mapping or a list of mappings")
        return found


def _said(node: yaml.ScalarNode) -> Any:
    # "!" before a text in quotes leaves it a text, though PyYAML takes it for one without quotes.
    return scalar(node.value, "!" if node.tag == PLAIN and node.style else node.tag)


def _is_merge(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == PLAIN and node.value == _MERGE
