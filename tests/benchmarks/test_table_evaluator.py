"""A recorded table evaluates candidates as devices do: costs, caching, giving up, noise."""

import pytest
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import Bound, Limit, Outcome
from paretune.search.record.protocols import Decision, Standard, TrainEverything
from paretune.search.record.stops import Interrupted

from benchmarks.replay.evaluator import Noise, RecordedTraining, Row, SimulatedClock, TableEvaluator

RECIPE = Recipe(epochs=5, finetune_epochs=2)
CURVE = ((1, 0.3), (2, 0.5), (4, 0.6), (5, 0.62))


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
    distill = RecordedTraining(
        key=f"distill {asked.student}", kind="distill", seconds=50.0, epochs=5, curve=CURVE, work=7.0
    )
    prune = RecordedTraining(key=f"prune {asked.student}", kind="prune", seconds=20.0, epochs=2, quality=0.6)
    if asked.student == (("width", -1),):
        return None
    if str(asked.precision) == "fp16":
        return Row(refused="no fp16 here")
    trainings = (distill,) if asked.sparsity == "dense" else (distill, prune)
    return Row(
        quality=0.61,
        hardware={"latency_ms": 2.0, "size_bytes": 1000.0},
        trainings=trainings if asked.student else (),
        compile_seconds=1.0,
        score_seconds=2.0,
        measure_seconds=4.0,
    )


def evaluator(**options):
    clock = SimulatedClock()
    return TableEvaluator(row_of, clock, **options), clock


class StopAt(TrainEverything):
    """Gives every training up at an epoch."""

    def __init__(self, epoch):
        self.epoch, self.asked = epoch, []

    def at_rung(self, candidate, rung):
        self.asked.append(rung.curve[-1][0])
        if rung.curve[-1][0] != self.epoch:
            return None
        return Decision(reason="hopeless", bound=Bound(value=0.7, basis="its curve"))


def test_a_complete_evaluation_costs_and_tells_what_was_recorded():
    table, clock = evaluator()
    limit = Limit(text="latency <= 1 ms", metric="latency_ms", upper=True, bound=1.0)
    assert [t.done for t in table.trainings(candidate())] == [False]
    found = table.evaluate(candidate(), TrainEverything(Standard(limits=(limit,))))
    assert found.outcome is Outcome.COMPLETE
    assert found.metrics["accuracy"].value == 0.61
    assert found.violations == {"latency <= 1 ms": 1.0}
    # Untrained: compile and measure; then the training; then compile, score and measure.
    assert clock.now() == (1 + 4) + 50 + (1 + 2 + 4)
    training = next(stage for stage in found.stages if stage.name == "distill")
    assert (training.seconds, training.cached, training.curve) == (50.0, False, CURVE)
    (known,) = table.trainings(candidate())
    assert (known.done, known.quality, known.seconds, known.work) == (True, 0.62, 50.0, 7.0)


def test_trainings_are_paid_once_and_a_sparse_student_starts_from_the_dense_one():
    table, clock = evaluator()
    table.evaluate(candidate(), TrainEverything())
    before = clock.now()
    found = table.evaluate(candidate(precision="int8", method="minmax", samples=8), TrainEverything())
    assert clock.now() - before == 1 + 2 + 4  # nothing is at stake: not measured twice
    assert [(s.name, s.cached) for s in found.stages if s.name in ("distill", "prune")] == [("distill", True)]
    before = clock.now()
    sparse = table.evaluate(candidate(sparsity="channel:0.5"), TrainEverything())
    assert clock.now() - before == (1 + 4) + 20 + (1 + 2 + 4)
    assert [(s.name, s.cached) for s in sparse.stages if s.name in ("distill", "prune")] == [
        ("distill", True),
        ("prune", False),
    ]
    assert table.trainings_begun == 2


def test_without_a_memory_every_trial_pays_for_its_own():
    table, clock = evaluator(remember=False)
    table.evaluate(candidate(), TrainEverything())
    before = clock.now()
    table.evaluate(candidate(precision="int8", method="minmax", samples=8), TrainEverything())
    assert clock.now() - before >= 50
    assert table.trainings_begun == 2
    assert not table.trainings(candidate())[0].done


def test_a_training_is_given_up_at_a_rung_and_taken_up_again():
    table, clock = evaluator()
    judge = StopAt(2)
    found = table.evaluate(candidate(), judge)
    assert judge.asked == [1, 2]
    assert (found.outcome, found.reason, found.stopped_epoch) == (Outcome.GATED, "hopeless", 2)
    assert found.bound == Bound(value=0.7, basis="its curve")
    assert found.stages[-1].curve == CURVE[:2]
    assert clock.now() == (1 + 4) + 50 * 2 / 5
    assert not table.trainings(candidate())[0].done
    assert table.evaluate(candidate(), TrainEverything()).outcome is Outcome.COMPLETE
    assert clock.now() == (1 + 4) + 50 + (1 + 2 + 4)
    assert table.trainings_begun == 1


def test_the_last_epoch_is_no_rung():
    table, _ = evaluator()
    judge = StopAt(5)
    assert table.evaluate(candidate(), judge).outcome is Outcome.COMPLETE
    assert judge.asked == [1, 2, 4]


def test_the_judge_sees_the_hardware_before_anything_is_trained():
    class Never(TrainEverything):
        def before_training(self, candidate, hardware):
            return Decision(reason=f"{hardware.metrics['latency_ms'].value} ms is too slow")

    table, clock = evaluator()
    found = table.evaluate(candidate(), Never())
    assert (found.outcome, found.reason) == (Outcome.GATED, "2.0 ms is too slow")
    assert found.gate["size_bytes"].value == 1000.0
    assert clock.now() == 1 + 4
    assert table.trainings_begun == 0
    assert table.evaluate(candidate(width=0), Never()).outcome is Outcome.COMPLETE  # the teacher is trained


def test_what_costs_the_same_is_measured_once():
    table, clock = evaluator()
    first = table.hardware(candidate(precision="int8", method="minmax", samples=8))
    again = table.hardware(candidate(precision="int8", method="entropy", samples=64))
    assert first == again
    assert (table.measurements, clock.now()) == (1, 5.0)
    assert first.metrics["latency_ms"].low < 2.0 < first.metrics["latency_ms"].high


@pytest.mark.parametrize(
    ("asked", "reason"),
    [(candidate(width=-1), "not in the table"), (candidate(precision="fp16"), "no fp16 here")],
)
def test_what_is_not_in_the_table_or_could_not_exist_is_refused_at_no_cost(asked, reason):
    table, clock = evaluator()
    found = table.evaluate(asked, TrainEverything())
    assert (found.outcome, found.reason) == (Outcome.REFUSED, reason)
    assert table.hardware(asked).refused == reason
    assert (clock.now(), table.measurements) == (0.0, 0)


def test_noise_is_drawn_by_seed_and_its_interval_tells_how_large_it_is():
    def latencies(seed):
        table, _ = evaluator(noise=Noise(deviations={"latency_ms": 0.05}, seed=seed))
        return [table.hardware(candidate(width=width)).metrics["latency_ms"] for width in range(1, 201)]

    measured = latencies(1)
    assert measured == latencies(1)
    assert measured != latencies(2)
    held = sum(quantity.low <= 2.0 <= quantity.high for quantity in measured)
    assert 180 <= held <= 199  # 95 % of 200
    table, _ = evaluator(noise=Noise(deviations={"latency_ms": 0.05}))
    assert table.hardware(candidate()).metrics["size_bytes"].value == 1000.0


def test_an_interruption_after_a_training_loses_nothing_of_it():
    def checkpoint():
        if clock.now() >= 55:
            raise Interrupted("the time is used up")

    clock = SimulatedClock()
    table = TableEvaluator(row_of, clock, checkpoint=checkpoint)
    with pytest.raises(Interrupted, match="the time is used up"):
        table.evaluate(candidate(), TrainEverything())
    assert table.trainings(candidate())[0].done


def test_time_never_goes_back():
    from paretune.profiles.errors import InternalError

    clock = SimulatedClock()
    with pytest.raises(InternalError, match="time cannot go back"):
        clock.advance(-1.0)
