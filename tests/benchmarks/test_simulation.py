"""A recorded table evaluates candidates as devices do (costs, memory, giving up, noise); runs are kept."""

import math

import pytest
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import Bound, Limit, Outcome
from paretune.search.record.protocols import Decision, Standard, TrainEverything

from benchmarks.simulation.evaluator import Noise, TableEvaluator
from benchmarks.simulation.recorded import RecordedTraining, Row
from benchmarks.simulation.runs import run_all
from benchmarks.simulation.summary import curve, figures, median_of, quartiles

RECIPE = Recipe(epochs=5, finetune_epochs=2)
CURVE = ((1, 0.3), (2, 0.5), (4, 0.6), (5, 0.62))
DEVICE = 1 + 2 + 4  # seconds to compile, score and measure


def candidate(width=1, precision="fp32", sparsity="dense", method="", samples=0):
    return Candidate(
        backend="ort",
        precision=Precision(precision),
        student=(("width", width),) if width else (),
        sparsity=sparsity,
        recipe=RECIPE,
        calibration_method=method,
        calibration_samples=samples,
    )


def row_of(asked):
    known = {"epochs": 5, "curve": CURVE, "quality": 0.62, "work": 7.0}
    distill = RecordedTraining(key=f"distill {asked.student}", kind="distill", seconds=50.0, **known)
    prune = RecordedTraining(key=f"prune {asked.student}", kind="prune", seconds=20.0, epochs=2, quality=0.6)
    trainings = (distill,) if asked.sparsity == "dense" else (distill, prune)
    if asked.student == (("width", -1),):
        return None
    return Row(
        quality=0.61,
        hardware={"latency_ms": 2.0, "size_bytes": 1000.0},
        trainings=trainings if asked.student else (),
        compile_seconds=1.0,
        score_seconds=2.0,
        measure_seconds=4.0,
        refused="no fp16 here" if str(asked.precision) == "fp16" else "",
    )


INT8 = candidate(precision="int8", method="minmax", samples=8)


class StopAt(TrainEverything):
    """Gives every training up at an epoch."""

    def __init__(self, epoch):
        self.epoch, self.asked = epoch, []

    def at_milestone(self, candidate, milestone):
        self.asked.append(milestone.curve[-1][0])
        if milestone.curve[-1][0] != self.epoch:
            return None
        return Decision(reason="hopeless", bound=Bound(value=0.7, basis="its curve"))


class Never(TrainEverything):
    def before_training(self, candidate, hardware):
        return Decision(reason=f"{hardware.metrics['latency_ms'].value} ms is too slow")


@pytest.fixture
def table():
    return TableEvaluator(row_of)


def trained(evaluation):
    return [(stage.name, stage.cached) for stage in evaluation.stages if stage.name in ("distill", "prune")]


def test_a_complete_evaluation_costs_and_tells_what_was_recorded(table):
    limit = Limit(text="latency <= 1 ms", metric="latency_ms", upper=True, bound=1.0)
    assert [t.done for t in table.trainings(candidate())] == [False]
    found = table.evaluate(candidate(), TrainEverything(Standard(limits=(limit,))))
    assert found.outcome is Outcome.COMPLETE
    assert found.metrics["accuracy"].value == 0.61
    assert found.violations == {"latency <= 1 ms": 1.0}
    # Untrained: compile and measure; then the training; then compile, score and measure.
    assert table.now() == (1 + 4) + 50 + DEVICE
    training = next(stage for stage in found.stages if stage.name == "distill")
    assert (training.seconds, training.cached, training.curve) == (50.0, False, CURVE)
    (known,) = table.trainings(candidate())
    assert (known.done, known.quality, known.seconds, known.work) == (True, 0.62, 50.0, 7.0)


def test_trainings_are_paid_once_and_a_sparse_student_starts_from_the_dense_one(table):
    table.evaluate(candidate(), TrainEverything())
    before = table.now()
    found = table.evaluate(INT8, TrainEverything())
    assert table.now() - before == DEVICE  # nothing is at stake: not measured twice
    assert trained(found) == [("distill", True)]
    before = table.now()
    sparse = table.evaluate(candidate(sparsity="channel:0.5"), TrainEverything())
    assert table.now() - before == (1 + 4) + 20 + DEVICE
    assert trained(sparse) == [("distill", True), ("prune", False)]
    assert (table.trainings_begun, table.training_seconds) == (2, 70.0)


def test_without_memory_or_measurements_every_evaluation_pays_for_its_training_and_device():
    table = TableEvaluator(row_of, noise=Noise(deviation=0.1), remember=False, measures_first=False)
    found = [table.evaluate(asked, TrainEverything()) for asked in (candidate(), candidate(), INT8)]
    assert (table.now(), table.trainings_begun, table.measurements) == (3 * (50 + DEVICE), 3, 0)
    assert found[0].metrics["latency_ms"] != found[1].metrics["latency_ms"]
    # That it cannot exist is found out when it is compiled.
    assert table.evaluate(candidate(precision="fp16"), TrainEverything()).reason == "no fp16 here"
    assert table.trainings_begun == 4


def test_a_training_is_given_up_at_a_rung_and_taken_up_again(table):
    judge = StopAt(2)
    found = table.evaluate(candidate(), judge)
    assert judge.asked == [1, 2]
    assert (found.outcome, found.reason, found.stopped_epoch) == (Outcome.GATED, "hopeless", 2)
    assert found.bound == Bound(value=0.7, basis="its curve")
    assert found.stages[-1].curve == CURVE[:2]
    assert table.now() == (1 + 4) + 50 * 2 / 5
    assert not table.trainings(candidate())[0].done
    last = StopAt(5)  # which is no milestone
    assert table.evaluate(candidate(), last).outcome is Outcome.COMPLETE
    assert last.asked == [2, 4]
    assert table.now() == (1 + 4) + 50 + DEVICE
    assert table.trainings_begun == 1


def test_the_judge_sees_the_hardware_before_anything_is_trained(table):
    found = table.evaluate(candidate(), Never())
    assert (found.outcome, found.reason) == (Outcome.GATED, "2.0 ms is too slow")
    assert found.gate["size_bytes"].value == 1000.0
    assert (table.now(), table.trainings_begun) == (1 + 4, 0)
    assert table.evaluate(candidate(width=0), Never()).outcome is Outcome.COMPLETE  # the teacher is trained


def test_what_costs_the_same_is_measured_once(table):
    first = table.hardware(INT8)
    assert first == table.hardware(candidate(precision="int8", method="entropy", samples=64))
    assert (table.measurements, table.now()) == (1, 5.0)
    assert first.metrics["latency_ms"].low < 2.0 < first.metrics["latency_ms"].high


@pytest.mark.parametrize(
    ("asked", "reason"),
    [(candidate(width=-1), "not in the table"), (candidate(precision="fp16"), "no fp16 here")],
)
def test_what_is_not_in_the_table_or_could_not_exist_is_refused_at_no_cost(table, asked, reason):
    found = table.evaluate(asked, TrainEverything())
    assert (found.outcome, found.reason) == (Outcome.REFUSED, reason)
    assert table.hardware(asked).refused == reason
    assert (table.now(), table.measurements) == (0.0, 0)


def test_noise_is_drawn_by_seed_and_its_interval_tells_how_large_it_is():
    def latencies(**noise):
        table = TableEvaluator(row_of, noise=Noise(**noise))
        return [table.hardware(candidate(width=width)).metrics["latency_ms"] for width in range(1, 201)]

    measured = latencies(deviation=0.05, seed=1)
    assert measured == latencies(deviation=0.05, seed=1)
    assert measured != latencies(deviation=0.05, seed=2)
    held = sum(quantity.low <= 2.0 <= quantity.high for quantity in measured)
    assert 180 <= held <= 199  # 95 % of 200
    own = {candidate(width=1).hardware_class().digest: 0.05}
    assert latencies(spread=own, seed=1)[0] == measured[0]
    assert {quantity.value for quantity in latencies(spread=own)[1:]} == {2.0}
    assert Noise(deviation=0.05).measured("x", {"size_bytes": 9.0})["size_bytes"].value == 9.0


# -- many runs --------------------------------------------------------------------------------------


def test_runs_are_kept_until_they_are_to_be_fresh_or_the_table_is_another(tmp_path, capsys):
    ran = []

    def search(strategy, seed):
        ran.append((strategy, seed))
        return {"share": 0.5, "trainings": len(ran), "trials": 9}

    jobs = [{"strategy": name, "seed": seed} for seed in (0, 1) for name in ("a", "b")]

    def again(table="digest", fresh=()):
        ran.clear()
        return run_all(search, jobs, out=tmp_path / "new/x.json", table=table, fresh=fresh, workers=1)

    first = again()
    assert [(run["trainings"], ran[place]) for place, run in enumerate(first)] == [
        (1, ("a", 0)), (2, ("b", 0)), (3, ("a", 1)), (4, ("b", 1)),
    ]  # fmt: skip
    assert again() == first
    assert ran == []
    again(fresh=["b"])
    assert ran == [("b", 0), ("b", 1)]
    again(table="another")
    assert len(ran) == 4
    assert "0 of 4 runs are kept" in capsys.readouterr().err


def run_of(*shares):
    history = [[600.0 * n, 601.0 * n, n, share] for n, share in enumerate(shares, start=1)]
    return {"history": history, "trials": 9, "measured": 9, "share": shares[-1]}


def test_what_was_not_reached_is_none_and_counts_as_more_than_any_number():
    found = figures([run_of(0.2, 0.91, 0.94), run_of(0.5)], (0.9, 0.95))
    assert found["trainings_to_90"] == [2, None]
    assert found["training_seconds_to_90"] == [1200.0, None]
    assert found["seconds_to_90"] == [1202.0, None]
    assert found["seconds_to_95"] == [None, None]
    assert quartiles([1.0, math.inf, 3.0, 2.0]) == (1.75, 2.5, math.inf)
    assert quartiles([math.inf, 1.0]) == (math.inf, math.inf, math.inf)
    assert median_of([1, None, 3]) == 3


def test_curves_go_on_where_a_search_ended_early():
    found = curve([run_of(0.5, 0.5, 0.5, 0.5, 0.9), run_of(0.1, 0.2, 0.3)], "trainings", range(5, 11, 5))
    assert found["trainings"] == [5, 10]
    assert found["median"] == [pytest.approx(0.6), pytest.approx(0.6)]
    assert found["q75"][-1] == pytest.approx(0.75)
