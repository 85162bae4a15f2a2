"""What lies between dequantizing and quantizing is meant to run in whole numbers."""

from paretune.backends.contract.integers import QdqStep, between
from paretune.backends.contract.placement import ModelPlacement, NodePlacement, shares_of_time


def step(name, *inputs, opens=False, closes=False, kept=False):
    return QdqStep(name=name, inputs=inputs, outputs=(name,), opens=opens, closes=closes, kept=kept)


def test_only_what_all_paths_close_in_is_between():
    steps = [
        step("q", "x", closes=True),
        step("d", "q", opens=True),
        step("a", "d"),
        step("b", "a"),
        step("sum", "b", "d"),
        step("mixed", "sum", "x"),  # reads what was never quantized
        step("q2", "sum", closes=True),
        step("d2", "q2", opens=True),
        step("last", "d2"),  # goes out in float
        step("product", "d2", kept=True),
        step("after", "product"),
        step("q3", "after", closes=True),
        step("q4", "mixed", closes=True),
    ]
    assert between(steps) == {"a", "b", "sum"}
    assert between([]) == set()


def test_shares_are_those_of_a_whole_and_unknown_where_nothing_was_timed():
    def node(intended, share):
        return NodePlacement(name="n", op="Op", kernel="k", place="p", intended=intended, share_of_time=share)

    assert shares_of_time([1, 3]) == [0.25, 0.75]
    assert shares_of_time([0, 0]) == [None, None]
    timed = ModelPlacement(intended="k", nodes=(node(True, 0.25), node(False, 0.75)))
    assert (timed.share_of_nodes, timed.share_of_time) == (0.5, 0.25)
    assert ModelPlacement(intended="k", nodes=(node(True, None), node(False, 0.1))).share_of_time is None
