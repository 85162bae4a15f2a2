"""One digest for one function, checked against what networks give for numbers."""

import itertools
import random

import numpy as np
import pytest
from paretune.search.structure.function import function_digest
from paretune.search.structure.graph import (
    AVERAGE_POOL,
    CONSTANT,
    CONVOLUTION,
    IDENTITY,
    INPUT,
    PRODUCT,
    SUM,
    ZERO,
    Operation,
    OperationGraph,
)
from paretune.search.structure.simplify import simplified

SIZE, SLOTS = 4, 3
NUMBERS = np.random.default_rng(0)
X = NUMBERS.normal(size=SIZE)
POOL = np.abs(NUMBERS.normal(size=(SIZE, SIZE)))
WEIGHTS = NUMBERS.normal(size=(SLOTS, SIZE, SIZE))
SHIFTS = NUMBERS.normal(size=(SLOTS, SIZE))


def result(graph, slots):
    """What the graph gives for `X`, its weights being those of these slots."""
    values = []
    for one in graph.operations:
        given = [values[source] for source in one.inputs]
        weight = slots.get(one.weight)
        made = {
            INPUT: lambda: X,
            ZERO: lambda: np.zeros(SIZE),
            IDENTITY: lambda given=given: given[0],
            SUM: lambda given=given: sum(given, np.zeros(SIZE)),
            PRODUCT: lambda given=given: given[0] * given[1],
            AVERAGE_POOL: lambda given=given: POOL @ given[0],
            CONSTANT: lambda weight=weight: SHIFTS[weight],
            CONVOLUTION: lambda given=given, weight=weight, one=one: (
                (1 + one.kernel**0.5) * WEIGHTS[weight] @ np.tanh(given[0]) + one.shifts * SHIFTS[weight]
            ),
        }
        values.append(made[one.kind]())
    return tuple(float(np.round(number, 6)) + 0.0 for output in graph.outputs for number in values[output])


def names_of(graph):
    return sorted({one.weight for one in graph.operations if one.weight})


def results(graph):
    """All that it gives, whichever of its weights has which values: the same where only names differ."""
    names = names_of(graph)
    return frozenset(
        result(graph, dict(zip(names, slots, strict=True)))
        for slots in itertools.permutations(range(SLOTS), len(names))
    )


def drawn(rng, shifts):
    """A random network in which most operations could be used anywhere, at most three with weights."""
    operations = [Operation(INPUT)]
    for _ in range(rng.randint(3, 9)):
        kind = rng.choice([SUM, SUM, SUM, IDENTITY, ZERO, AVERAGE_POOL, CONVOLUTION, CONVOLUTION])
        sources = tuple(rng.choices(range(len(operations)), k={SUM: 3, ZERO: 0}.get(kind, 1)))
        if kind == CONVOLUTION:
            weight, kernel = rng.choice("abc"), rng.choice((1, 3))
            operations.append(
                Operation(kind, sources, kernel=kernel, weights=9, weight=weight, shifts=shifts)
            )
        else:
            operations.append(Operation(kind, sources))
    return OperationGraph(tuple(operations), (len(operations) - 1,))


def shuffled(graph, rng):
    """The same in another order, with other names, operands of sums in another order."""
    left, order = set(range(len(graph.operations))), []
    while left:
        ready = [place for place in left if not set(graph.operations[place].inputs) & left]
        order.append(rng.choice(ready))
        left.discard(order[-1])
    new = {old: place for place, old in enumerate(order)}
    names = names_of(graph)
    renamed = dict(zip(names, rng.sample(["u", "v", "w"], len(names)), strict=True))
    made = []
    for old in order:
        one = graph.operations[old]
        inputs = [new[source] for source in one.inputs]
        if one.kind in (SUM, PRODUCT):
            rng.shuffle(inputs)
        made.append(one._replace(inputs=tuple(inputs), weight=renamed.get(one.weight, "")))
    return OperationGraph(tuple(made), tuple(new[output] for output in graph.outputs))


@pytest.mark.parametrize("shifts", [False, True])
def test_networks_have_one_digest_if_and_only_if_they_give_the_same(shifts):
    rng = random.Random(1)
    of_digest, of_results = {}, {}
    for _ in range(250):
        graph = drawn(rng, shifts)
        small = simplified(graph)
        digest, given = function_digest(small), results(small)
        assert function_digest(simplified(shuffled(graph, rng))) == digest
        slots = dict(zip(names_of(graph), range(SLOTS), strict=False))
        assert result(small, slots) == pytest.approx(result(graph, slots))
        assert of_digest.setdefault(digest, given) == given
        assert of_results.setdefault(given, digest) == digest
    assert 60 < len(of_digest) < 240  # some are the same, and some are not
