"""A digest of the function that a network computes of its inputs and of weights that have no names."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .graph import ADDITIVE, COMMUTATIVE, INPUT, SUM, Operation, OperationGraph

Value = tuple[tuple[int, int], ...]
"""A sum of terms: (place of the term, how many times), ascending."""
TRIED, DEEP = 24, 3
"""In how many ways at most terms that look alike are numbered, and how many such choices are varied. Where
all are alike, as parallel branches are, one way is as good as any; where they only look so, two networks of
one function may get two digests if more would have to be tried, never two functions one digest."""
EFFORT = 40_000
"""Terms that may be coloured for one digest, about 0.1 s; beyond that, the order in the graph decides."""
MOST = 100_000
"""Terms in all sums of a graph that gets a digest; about 400 additions that follow each other have more."""


class _Term(NamedTuple):
    """An operation other than a sum. `label` says all but its operands, `weight` names its weights."""

    label: str
    weight: str
    operands: tuple[Value, ...]
    ordered: bool = True


def function_digest(graph: OperationGraph) -> str:
    """Equal for graphs that compute the same function whatever their weights are, by the order of operands,
    the names of weights, how sums are nested, and average pools of sums. A graph is simplified before. Empty
    where that would take long."""
    found = _terms(graph)
    if found is None:
        return ""
    numbered = _Numbering(*found).first()
    return hashlib.blake2b(repr(numbered).encode(), digest_size=16).hexdigest()


def _terms(graph: OperationGraph) -> tuple[list[_Term], tuple[Value, ...]] | None:
    """What the graph computes as sums of terms; a term that is computed twice is there once. None where they
    are too many."""
    made: dict[_Term, int] = {}
    values: list[Value] = []
    inputs = count = 0
    for operation in graph.operations:
        count += len(values[-1]) if values else 0
        if count > MOST:
            return None
        operands = tuple(map(values.__getitem__, operation.inputs))
        if operation.kind == SUM:
            values.append(_added(operands))
            continue
        label = _label(operation) + (f" {inputs}" if operation.kind == INPUT else "")
        inputs += operation.kind == INPUT
        if operation.kind in ADDITIVE:
            each = [(_Term(label, "", (((term, 1),),)), times) for term, times in operands[0]]
            values.append(tuple(sorted((made.setdefault(one, len(made)), times) for one, times in each)))
            continue
        ordered = operation.kind not in COMMUTATIVE
        term = _Term(label, operation.weight, operands if ordered else tuple(sorted(operands)), ordered)
        values.append(((made.setdefault(term, len(made)), 1),))
    return _needed(list(made), tuple(map(values.__getitem__, graph.outputs)))


def _added(operands: Sequence[Value]) -> Value:
    found: Counter[int] = Counter()
    for value in operands:
        for term, times in value:
            found[term] += times
    return tuple(sorted(found.items()))


def _label(operation: Operation) -> str:
    kind, _, settings, kernel, stride, channels, weights, _, shifts = operation
    return f"{kind} {kernel} {stride} {channels} {weights} {shifts} {settings}"


def _needed(terms: list[_Term], outputs: tuple[Value, ...]) -> tuple[list[_Term], tuple[Value, ...]]:
    """Without terms that no result is made of."""
    needed = {term for value in outputs for term, _ in value}
    for place in range(len(terms) - 1, -1, -1):
        if place in needed:
            needed.update(term for value in terms[place].operands for term, _ in value)
    new = {old: place for place, old in enumerate(sorted(needed))}

    def moved(values: tuple[Value, ...]) -> tuple[Value, ...]:
        return tuple(tuple((new[term], times) for term, times in value) for value in values)

    return [terms[old]._replace(operands=moved(terms[old].operands)) for old in new], moved(outputs)


class _Numbering:
    """Numbers the terms in a way that does not depend on their order or on the names of weights.

    Terms get colours, refined from operands to users and back until no more of them differ; of those that
    still look alike, one is singled out and the rest follows. What was found is the whole graph in that
    numbering, so that graphs with the same one are the same.
    """

    def __init__(self, terms: Sequence[_Term], outputs: tuple[Value, ...]) -> None:
        self.terms, self.outputs = terms, outputs
        self.labels = [_number(f"{one.label}|{bool(one.weight)}") for one in terms]
        self.users: list[list[tuple[int, int, int]]] = [[] for _ in terms]
        for user, term in enumerate(terms):
            for place, value in enumerate(term.operands):
                for source, times in value:
                    self.users[source].append((user, place if term.ordered else 0, times))
        self.ends: list[list[tuple[int, int]]] = [[] for _ in terms]
        for place, value in enumerate(outputs):
            for source, times in value:
                self.ends[source].append((place, times))
        owners = defaultdict(list)
        for place, term in enumerate(terms):
            if term.weight:
                owners[term.weight].append(place)
        self.shared = [places for places in owners.values() if len(places) > 1]
        self.ways, self.effort = TRIED, EFFORT

    def first(self) -> object:
        """The least of what was tried."""
        return self._least(self._refined(self.labels), DEEP)

    def _least(self, colours: list[int], deep: int) -> tuple[object, ...]:
        alike = self._alike(colours)
        if alike and deep and self.effort > 0:
            return min(self._tried(colours, alike, deep), key=repr)
        while alike and self.effort > 0:
            colours = self._singled(colours, alike[0])
            alike = self._alike(colours)
        self.ways -= 1
        return self._written(colours)

    def _tried(self, colours: list[int], alike: Sequence[int], deep: int) -> Iterator[tuple[object, ...]]:
        for number, place in enumerate(alike):
            if number and (self.ways <= 0 or self.effort <= 0):
                return
            yield self._least(self._singled(colours, place), deep - 1)

    def _singled(self, colours: list[int], place: int) -> list[int]:
        """With one term that looks like no other."""
        new = list(colours)
        new[place] = hash((colours[place], 1))
        return self._refined(new)

    def _refined(self, colours: list[int]) -> list[int]:
        count = 0
        while count < (found := len(set(colours := self._once(colours)))) < len(colours):
            count = found
        return colours

    def _once(self, colours: list[int]) -> list[int]:
        self.effort -= len(colours)
        new: list[int] = []
        for colour, term in zip(colours, self.terms, strict=True):
            operands = [hash(tuple(sorted([(new[t], n) for t, n in value]))) for value in term.operands]
            new.append(hash((colour, *(operands if term.ordered else sorted(operands)))))
        for place in range(len(new) - 1, -1, -1):
            users = sorted([(new[user], where, times) for user, where, times in self.users[place]])
            new[place] = hash((new[place], tuple(self.ends[place]), tuple(users)))
        for places in self.shared:
            together = tuple(sorted([new[place] for place in places]))
            for place in places:
                new[place] = hash((new[place], together))
        return new

    def _alike(self, colours: list[int]) -> list[int]:
        """The first terms of one colour, without those that stand between the same others."""
        groups: dict[int, list[int]] = defaultdict(list)
        for place, colour in enumerate(colours):
            groups[colour].append(place)
        alike = [colour for colour, places in groups.items() if len(places) > 1]
        if not alike:
            return []
        twins: dict[object, int] = {}
        for place in groups[min(alike)]:
            key = place if self.shared else (self.terms[place].operands, tuple(self.users[place]))
            twins.setdefault(key, place)
        return list(twins.values())

    def _written(self, colours: list[int]) -> tuple[object, ...]:
        order = sorted(range(len(colours)), key=colours.__getitem__)
        number = {place: index for index, place in enumerate(order)}
        weights: dict[str, int] = {"": -1}

        def said(value: Value) -> tuple[tuple[int, int], ...]:
            return tuple(sorted([(number[term], times) for term, times in value]))

        lines = []
        for place in order:
            term = self.terms[place]
            operands = tuple(map(said, term.operands))
            weight = weights.setdefault(term.weight, len(weights))
            lines.append((term.label, weight, operands if term.ordered else tuple(sorted(operands))))
        return (tuple(lines), tuple(map(said, self.outputs)))


def _number(text: str) -> int:
    """The same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big")
