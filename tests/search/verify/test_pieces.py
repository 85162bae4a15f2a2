"""What is judged without any process: numbers, versions, machines, samples that a user gives."""

import numpy as np
import pytest
from paretune.backends.contract.values import TensorSpec
from paretune.backends.measure.samples import REFERENCE, Block, LatencyPlan, Rounds, Series, WarmUp
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.profiles.quantity import Quantity
from paretune.search.checks.tolerances import Tolerances, read_tolerances
from paretune.search.record.checks import DECISIONS, OUTPUTS, CheckOutcome
from paretune.search.record.setting import Setting
from paretune.search.verify.costs import CostChecks
from paretune.search.verify.given import read_data
from paretune.search.verify.inspection import Timed
from paretune.search.verify.machine import busy, install_line, other_machine, versions_check
from paretune.search.verify.numerics import Alike, numerics
from paretune.search.verify.quality import on_samples, question_of
from paretune.search.verify.recorded import RecordedSamples
from paretune.search.verify.settled import noted, settled
from paretune.search.verify.shipped import Shipped
from paretune.search.workload.metrics import ACCURACY, RMSE
from paretune.search.workload.outputs import OutputChoice

PASSED, FAILED, SKIPPED = CheckOutcome.PASSED, CheckOutcome.FAILED, CheckOutcome.SKIPPED
RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(200, 4)).astype(np.float32)
PICTURES = RNG.normal(size=(20, 3, 8, 8)).astype(np.float32)
NUMBERS = RNG.integers(0, 5, size=(200,))


def _shipped(tmp_path, **changes):
    specs = (TensorSpec(name="x", dtype="float32", shape=(1, 4)),)
    usual = {
        "name": "the bundle",
        "backend": "toy",
        "path": tmp_path / "model.toy",
        "setting": Setting(threads=1, batch=1),
        "precision": Precision.FP32,
        "inputs": specs,
        "versions": {"paretune-toy": "1"},
    }
    return Shipped(**{**usual, **changes})


def _recorded(outputs, targets=None):
    names = tuple(outputs)
    choice = OutputChoice(names=names, primary=names[0], scored=names[:1])
    return RecordedSamples(
        inputs={"x": next(iter(outputs.values()))}, outputs=outputs, targets=targets, choice=choice
    )


def _class_of(scores, axis=1):
    return scores.argmax(axis=axis)


@pytest.mark.parametrize(
    ("then", "now", "targets", "outcomes"),
    [
        (SCORES, SCORES.copy(), _class_of(SCORES), (PASSED, PASSED)),
        (SCORES, SCORES * np.float32(1 + 1e-6), _class_of(SCORES), (PASSED, PASSED)),
        (SCORES, SCORES * 1.1, _class_of(SCORES), (FAILED, PASSED)),
        (SCORES, SCORES[:, ::-1], _class_of(SCORES), (FAILED, FAILED)),
        (SCORES, np.where(SCORES > 2, np.nan, SCORES), _class_of(SCORES), (FAILED, SKIPPED)),
        (SCORES, SCORES[:, :3], _class_of(SCORES), (FAILED, SKIPPED)),
        (SCORES, SCORES[:-1], _class_of(SCORES), (FAILED, SKIPPED)),
        (SCORES, SCORES[:, ::-1], SCORES, (FAILED, SKIPPED)),  # numbers are predicted: nothing is decided
        (PICTURES, PICTURES[:, ::-1], _class_of(PICTURES), (FAILED, FAILED)),
        (NUMBERS, (NUMBERS + 1) % 5, NUMBERS, (FAILED, FAILED)),
    ],
)  # fmt: skip
def test_outputs_are_told_from_others(tmp_path, then, now, targets, outcomes):
    found = numerics(_shipped(tmp_path), _recorded({"y": then}, targets), {"y": now}, Alike(), Tolerances())
    assert tuple(check.outcome for check in settled(found)) == outcomes


def test_coarse_formats_have_the_room_that_they_need(tmp_path):
    now = {"y": SCORES + 0.02 * RNG.normal(size=SCORES.shape).astype(np.float32)}
    for precision, outcome in ((Precision.FP32, FAILED), (Precision.INT8, PASSED)):
        one = _shipped(tmp_path, precision=precision)
        found = numerics(one, _recorded({"y": SCORES}), now, Alike(), Tolerances())
        assert settled(found)[0].outcome is outcome


def test_what_the_user_tolerates_of_outputs_replaces_what_the_precision_says(tmp_path):
    now = {"y": SCORES * 1.1}
    for text, outcome in (("outputs 1", PASSED), ("outputs 0.001", FAILED)):
        found = numerics(
            _shipped(tmp_path), _recorded({"y": SCORES}), now, Alike(), read_tolerances([text], "accuracy")
        )
        assert (found[0].question.metric, settled(found)[0].outcome) == (OUTPUTS, outcome)


def test_of_several_outputs_the_worst_decides_and_flips_are_those_of_the_primary(tmp_path):
    then = {"y": SCORES, "z": SCORES * 3}
    now = {"y": SCORES, "z": SCORES}
    outputs, decisions = settled(
        numerics(_shipped(tmp_path), _recorded(then, _class_of(SCORES)), now, Alike(), Tolerances())
    )
    assert (outputs.outcome, decisions.outcome, decisions.metric) == (FAILED, PASSED, DECISIONS)


@pytest.mark.parametrize(("wrong", "outcome"), [(0, PASSED), (1, CheckOutcome.PASSED), (60, FAILED)])
def test_quality_is_compared_in_pairs(wrong, outcome):
    targets, now = _class_of(SCORES), SCORES.copy()
    now[:wrong] = -now[:wrong]
    question = question_of(
        "the bundle", "accuracy", read_tolerances(["accuracy 2 pt"], "accuracy"), higher=True
    )
    evidence = on_samples(question, ACCURACY, _recorded({"y": SCORES}, targets), {"y": now})
    assert settled([evidence])[0].outcome is outcome


def test_a_metric_where_less_is_better_fails_where_it_rises():
    question = question_of("the bundle", "rmse", Tolerances(), higher=False)
    recorded = _recorded({"y": SCORES + 0.1}, SCORES)
    worse, better = ({"y": SCORES + off} for off in (0.3, 0.01))
    assert settled([on_samples(question, RMSE, recorded, worse)])[0].outcome is FAILED
    assert settled([on_samples(question, RMSE, recorded, better)])[0].outcome is PASSED


def _timed(ratio, loads=(10.0, 12.0)):
    def series(base):
        blocks = [Block(process=i % 3, samples=(base + 1000 * (i % 5),) * 3, singles=()) for i in range(15)]
        return Series(loops=1, processes=3, warm_up=WarmUp(seconds=0.2, settled=True), blocks=tuple(blocks))

    rounds = Rounds(
        plan=LatencyPlan(),
        series={"the bundle": series(int(1e6 * ratio)), REFERENCE: series(1_000_000)},
        order=(("the bundle", REFERENCE),) * 15,
    )
    return Timed(rounds=rounds, load_ms={"the bundle": loads})


@pytest.mark.parametrize(("ratio", "outcome"), [(0.5, PASSED), (0.4, PASSED), (0.52, PASSED), (0.6, FAILED)])
def test_the_ratio_to_the_reference_is_judged_by_both_intervals(ratio, outcome):
    costs = CostChecks(timed=_timed(ratio), name="the bundle", tolerances=Tolerances())
    evidence = costs.ratio(Quantity(value=0.5, low=0.495, high=0.505))
    assert settled([evidence])[0].outcome is outcome
    assert noted(evidence, "another machine").outcome is CheckOutcome.NOTED


def test_a_load_time_fails_only_far_out_of_what_it_varies_by():
    for loads, outcome in (((14.0, 90.0), PASSED), ((200.0, 210.0), FAILED)):
        costs = CostChecks(timed=_timed(0.5, loads), name="the bundle", tolerances=Tolerances())
        assert settled([costs.load(Quantity(value=13.0))])[0].outcome is outcome


@pytest.mark.parametrize(
    ("there", "outcome"),
    [({"paretune-toy": "1"}, PASSED), ({"paretune-toy": "2"}, CheckOutcome.WARNING), ({}, SKIPPED)],
)
def test_another_version_of_the_runtime_is_said(tmp_path, there, outcome):
    check = versions_check(_shipped(tmp_path), {"packages": there})
    assert check.outcome is outcome
    assert all(version in check.reason for version in there.values())


def test_what_installs_the_runtime_names_its_version(tmp_path):
    assert install_line(_shipped(tmp_path)) == "pip install paretune-toy==1"
    assert install_line(_shipped(tmp_path, versions={})) == "pip install paretune-toy"


def test_times_of_another_machine_are_not_compared():
    here = {"processor": "A", "machine": "x86_64", "cores": 2, "instructions": ["avx2"]}
    assert not other_machine(here, here)
    for change in ({"processor": "B"}, {"cores": 4}, {"instructions": ["avx2", "avx512f"]}):
        assert other_machine(here, {**here, **change})
    assert other_machine({}, here)


def test_a_machine_that_others_use_is_busy():
    assert busy({"load_average": [3.0], "affinity": [0, 1]})
    assert not busy({"load_average": [0.3], "affinity": [0, 1]})


ROWS = {"x": np.zeros((5, 4), np.float32), "targets": np.zeros(5, np.int64)}


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": ROWS["x"]},
        {"z": ROWS["x"], "targets": ROWS["targets"]},
        {**ROWS, "targets": np.zeros(4)},
        {**ROWS, "x": np.zeros((5, 3), np.float32)},
        {**ROWS, "x": np.zeros((5, 4, 1), np.float32)},
        {**ROWS, "x": np.zeros((5, 4), np.complex64)},
        {**ROWS, "x": np.zeros((0, 4), np.float32), "targets": np.zeros(0)},
        {**ROWS, "x": np.array([["a"] * 4] * 5)},
        {**ROWS, "targets": np.array([None] * 5)},
    ],
)
def test_data_that_does_not_fit_is_refused(tmp_path, arrays):
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(UserError, match="--data"):
        read_data(tmp_path / "data.npz", _shipped(tmp_path))


def test_data_that_fits_is_read_and_other_files_are_refused(tmp_path):
    np.savez(tmp_path / "data.npz", **ROWS, more=np.ones(3))
    found = read_data(tmp_path / "data.npz", _shipped(tmp_path))
    assert (set(found.inputs), len(found.targets)) == ({"x"}, 5)
    np.save(tmp_path / "one.npy", ROWS["x"])
    (tmp_path / "text.npz").write_text("no arrays")
    for name in ("one.npy", "text.npz", "absent.npz", "."):
        with pytest.raises(UserError, match="--data"):
            read_data(tmp_path / name, _shipped(tmp_path))
