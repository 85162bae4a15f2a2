"""Where nodes run, as a device tells it: an answer is input."""

import json

import numpy as np
import pytest
from paretune.backends.contract.placement import ModelPlacement, NodePlacement
from paretune.backends.runner.placing import placement, told
from paretune.backends.runner.reading import Reply
from paretune.profiles.errors import StageError


class Says:
    """A session that gives this answer."""

    def __init__(self, answer):
        self.placement = lambda feed: answer


def node(**said):
    usual = {"name": "n", "op": "Conv", "kernel": "k", "place": "CPU", "intended": True}
    return NodePlacement(**{**usual, **said})


def read(body):
    return placement(Reply(device="board", operation="placement", stage="measure", body=body))


def test_an_answer_comes_back_as_it_was_given():
    nodes = (node(share_of_time=0.25), node(intended=False, reason="why", share_of_time=0.75))
    found = read(told(Says(ModelPlacement(intended="XNNPACK", nodes=nodes)), {}))
    assert found == ModelPlacement(intended="XNNPACK", nodes=nodes)


def test_a_runtime_that_cannot_tell_and_one_with_too_many_nodes_are_unknown():
    assert read(told(Says(None), {})) is None
    assert read(told(Says(ModelPlacement(intended="k", nodes=(node(),) * 20_001)), {})) is None


def test_values_of_numpy_are_sent_as_plain_ones():
    theirs = node(name=7, intended=np.bool_(True), share_of_time=np.float32(1))
    body = told(Says(ModelPlacement(intended="k", nodes=(theirs,))), {})
    assert read(json.loads(json.dumps(body))).nodes == (node(name="7", share_of_time=1.0),)


def test_long_names_are_cut():
    (found,) = read(told(Says(ModelPlacement(intended="k", nodes=(node(name="x" * 5000),))), {})).nodes
    assert len(found.name) == 300


def sent(**changed):
    (one,) = told(Says(ModelPlacement(intended="k", nodes=(node(),))), {})["nodes"]
    return {**one, **changed}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"known": "yes"},
        {"known": True},
        {"known": True, "intended": "k", "nodes": []},
        {"known": True, "intended": "k", "nodes": "all"},
        {"known": True, "intended": "k", "nodes": [3]},
        {"known": True, "intended": 3, "nodes": [sent()]},
        {"known": True, "intended": "k", "nodes": [sent(intended=1)]},
        {"known": True, "intended": "k", "nodes": [sent(kernel=None)]},
        {"known": True, "intended": "k", "nodes": [sent(share_of_time=float("nan"))]},
        {"known": True, "intended": "k", "nodes": [sent(share_of_time=-0.5)]},
        {"known": True, "intended": "k", "nodes": [sent(share_of_time=0.5)]},
        {"known": True, "intended": "k", "nodes": [sent(share_of_time=1.0), sent()]},
    ],
)
def test_nonsense_is_refused(body):
    with pytest.raises(StageError, match="board"):
        read(body)
