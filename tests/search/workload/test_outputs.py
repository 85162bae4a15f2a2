"""Which of several outputs is meant."""

from __future__ import annotations

import numpy as np
import pytest
from paretune.profiles.errors import StageError, UserError
from paretune.search.stages.network.predict import named_outputs
from paretune.search.workload.metric import Metric
from paretune.search.workload.outputs import choose_outputs
from paretune.search.workload.workload import Workload
from torch import ones

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 40)
BOTH = {"box": RNG.normal(size=(40, 4)), "kind": RNG.normal(size=(40, 2))}


def work(metric="accuracy", outputs=None):
    return Workload(name="w", splits=lambda: None, metric=metric, outputs=outputs)


def own(function):
    return Metric(name="own", function=function)


def test_one_output_is_meant():
    choice = choose_outputs(work(), {"output": BOTH["kind"]}, LABELS)
    assert (choice.names, choice.primary, choice.others, choice.digest) == (("output",), "output", (), ())
    assert choice.for_metric({"output": LABELS}) is LABELS
    assert choice.by_name({"Identity": LABELS}) == {"output": LABELS}


def test_class_numbers_go_with_class_scores():
    gap = {"gap": RNG.normal(size=(40, 1)), "kind": BOTH["kind"]}
    choice = choose_outputs(work(), gap, LABELS)
    assert (choice.primary, choice.scored, choice.others) == ("kind", ("kind",), ("gap",))
    assert choice.because
    assert choice.digest, "not the first, as it was"


def test_two_that_would_do_are_a_question_and_a_name_answers_it():
    alike = {"left": BOTH["kind"], "right": -BOTH["kind"]}
    with pytest.raises(UserError, match=r"(?s)which is meant.*outputs=\"left\""):
        choose_outputs(work(), alike, LABELS)
    assert choose_outputs(work(outputs="right"), alike, LABELS).primary == "right"
    with pytest.raises(UserError, match="no output 'middle'"):
        choose_outputs(work(outputs="middle"), alike, LABELS)


def test_a_metric_that_can_score_none_alone_is_given_all_by_name():
    metric = own(lambda outputs, labels: float((outputs["kind"].argmax(1) == labels).mean()))
    choice = choose_outputs(work(metric), BOTH, LABELS)
    assert choice.scored == ("box", "kind")
    assert set(choice.for_metric(BOTH)) == {"box", "kind"}
    assert choice.primary == "kind", "labels belong to it"
    some = choose_outputs(work(metric, ("kind", "box")), {**BOTH, "rest": BOTH["box"]}, LABELS)
    assert set(some.for_metric({**BOTH, "rest": LABELS})) == {"kind", "box"}
    with pytest.raises(StageError, match="no output 'box'"):
        choice.by_name({"kind": LABELS})


def test_names_of_what_a_model_returns():
    one, two = ones(2, 1), ones(2, 3)
    assert list(named_outputs(one)) == ["output"] == list(named_outputs((one,)))
    assert list(named_outputs((one, two))) == ["output_0", "output_1"]
    assert list(named_outputs((one, two), ("gap", "kind"))) == ["gap", "kind"]
    assert list(named_outputs((one, two), "output_1")) == ["output_0", "output_1"]
    assert list(named_outputs((one, two), ("output_1", "output_0"))) == ["output_0", "output_1"]
    assert list(named_outputs({"a": one, "b": (one, two), "c": None})) == ["a", "b_0", "b_1"]
    with pytest.raises(TypeError, match="float"):
        named_outputs((one, 2.0))
