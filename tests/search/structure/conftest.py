"""Graphs that are written down quickly."""

import pytest
from paretune.search.structure.graph import CONVOLUTION, INPUT, SUM, Operation, OperationGraph


class Drawing:
    """Operations one after the other; each call gives the place of what it added."""

    def __init__(self):
        self.made = []
        self.x = self.add(INPUT)

    def add(self, kind, *inputs, **more):
        self.made.append(Operation(kind, inputs, **more))
        return len(self.made) - 1

    def conv(self, source, weight, kernel=3, **more):
        return self.add(CONVOLUTION, source, kernel=kernel, weights=kernel, weight=weight, **more)

    def sum(self, *inputs):
        return self.add(SUM, *inputs)

    def graph(self, *outputs):
        return OperationGraph(tuple(self.made), outputs)


@pytest.fixture
def draw():
    return Drawing
