"""What counts as other numbers than before."""

from pathlib import Path

import numpy as np
import pytest
from paretune.profiles.precision import Precision
from paretune.search.checks.decide import decided
from paretune.search.checks.tolerances import Tolerances
from paretune.search.recheck.kept import KeptArtifact
from paretune.search.recheck.numerics import numerics
from paretune.search.recheck.questions import AskedSamples
from paretune.search.record.candidate import Candidate
from paretune.search.record.checks import CheckOutcome
from paretune.search.record.evaluation import Evaluation, Outcome
from paretune.search.record.setting import Setting
from paretune.search.workload.metrics import ACCURACY
from paretune.search.workload.outputs import OutputChoice, only

RNG = np.random.default_rng(0)
LABELS = np.arange(300) % 3
SCORES = {"y": (np.eye(3)[LABELS] * 4 + RNG.normal(size=(300, 3))).astype(np.float32)}
ASKED = AskedSamples(
    inputs={"x": np.zeros((300, 1))}, labels=LABELS, metric=ACCURACY, choice=only("y"), samples="s"
)


def artifact(precision=Precision.FP32):
    evaluation = Evaluation(candidate=Candidate(backend="toy", precision=precision), outcome=Outcome.COMPLETE)
    setting = Setting(threads=1, batch=1)
    return KeptArtifact(number=3, evaluation=evaluation, file=Path(), setting=setting, store="")


def found(before, after, asked=ASKED, precision=Precision.FP32):
    checks = decided(numerics("trial 3", artifact(precision), asked, before, after, Tolerances()))
    return {check.metric: check for check in checks}


def test_equal_outputs_are_identical():
    told = found(SCORES, {"y": SCORES["y"].copy()})
    assert {check.outcome for check in told.values()} == {CheckOutcome.PASSED}
    assert "identical" in told["outputs"].reason


def test_what_kernels_round_otherwise_passes_and_what_is_more_does_not():
    noise = RNG.normal(size=(300, 3)).astype(np.float32)
    assert found(SCORES, {"y": SCORES["y"] + 1e-4 * noise})["outputs"].outcome is CheckOutcome.PASSED
    assert found(SCORES, {"y": SCORES["y"] + 0.1 * noise})["outputs"].outcome is CheckOutcome.FAILED
    within = found(SCORES, {"y": SCORES["y"] + 3e-3 * noise}, precision=Precision.FP16)
    assert within["outputs"].outcome is CheckOutcome.PASSED


def test_flipped_decisions_and_lost_quality_fail():
    told = found(SCORES, {"y": SCORES["y"][:, ::-1].copy()})
    assert {told[name].outcome for name in ("outputs", "decisions", "accuracy")} == {CheckOutcome.FAILED}
    assert told["decisions"].found.value == pytest.approx(2 / 3, abs=0.1)


@pytest.mark.parametrize(
    "after",
    [
        {"z": SCORES["y"], "w": SCORES["y"]},
        {"y": SCORES["y"][:, :2]},
        {"y": np.where(np.arange(300)[:, None] == 5, np.nan, SCORES["y"]).astype(np.float32)},
        {"y": SCORES["y"].argmax(axis=1)},
    ],
    ids=["another name", "another shape", "no number", "another kind"],
)
def test_outputs_of_another_form_fail_and_say_so(after):
    told = found(SCORES, after)["outputs"]
    assert told.outcome is CheckOutcome.FAILED
    assert told.reason


def test_numbers_that_decide_nothing_have_no_decisions():
    choice = OutputChoice(names=("y",), primary="y", scored=("y",))
    asked = AskedSamples(inputs={"x": np.zeros((300, 1))}, labels=SCORES["y"], choice=choice)
    assert set(found(SCORES, SCORES, asked)) == {"outputs"}
    unlabelled = AskedSamples(inputs={"x": np.zeros((300, 1))}, choice=choice, task="multi-label")
    assert set(found(SCORES, SCORES, unlabelled)) == {"outputs"}


def test_class_numbers_flip_where_they_differ():
    before = {"y": LABELS}
    asked = AskedSamples(inputs={"x": np.zeros((300, 1))}, choice=only("y"))
    told = found(before, {"y": np.where(np.arange(300) < 60, 1 - LABELS, LABELS)}, asked)
    assert told["decisions"].outcome is CheckOutcome.FAILED
