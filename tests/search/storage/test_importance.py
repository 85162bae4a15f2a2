from paretune.profiles.precision import Precision
from paretune.profiles.quantity import Quantity
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import Evaluation, Outcome, TrialRecord
from paretune.search.storage.importance import axes_of, importances


def test_sample_counts_that_end_in_zero_stay_apart():
    axes = [
        axes_of(
            Candidate(
                backend="ort",
                precision=Precision.INT8,
                calibration_method="minmax",
                calibration_samples=count,
            )
        )["calibration"]
        for count in (1, 10, 100)
    ]
    assert axes == ["minmax 1", "minmax 10", "minmax 100"]
    assert axes_of(Candidate(backend="ort", precision=Precision.FP32))["calibration"] == "-"


def trials(methods=("minmax", "entropy"), weights=(0.7,)):
    """Widths, precisions and what only some have; int8 is faster and less accurate."""
    found = []
    for number in range(40):
        width, precision = 1 + number % 4, (Precision.FP32, Precision.INT8)[number // 4 % 2]
        candidate = Candidate(
            backend="ort",
            precision=precision,
            student=() if width == 4 else (("width", width),),
            recipe=None if width == 4 else Recipe(epochs=1, distill_weight=weights[number % len(weights)]),
            calibration_method=methods[number // 8 % len(methods)],
            calibration_samples=64,
        )
        latency = width * (1.0 if precision is Precision.FP32 else 0.2) + 0.001 * number
        accuracy = (0.9 if precision is Precision.FP32 else 0.7) + 0.01 * width
        metrics = {"latency_ms": Quantity(value=latency), "accuracy": Quantity(value=accuracy)}
        evaluation = Evaluation(candidate=candidate, outcome=Outcome.COMPLETE, metrics=metrics)
        found.append(TrialRecord(number=number, evaluation=evaluation, started=0.0, seconds=1.0))
    return found


def test_an_axis_with_one_value_decides_nothing():
    found = importances(trials(methods=("minmax",)), ["accuracy", "latency_ms"])
    assert set(found["accuracy"]) == set(found["latency_ms"]) == {"student", "precision"}


def test_calibration_and_distillation_decide_nothing_that_the_device_measures():
    found = importances(trials(weights=(0.7, 0.0)), ["accuracy", "latency_ms"])
    assert set(found["latency_ms"]) == {"student", "precision"}
    assert {"calibration", "distillation"} < set(found["accuracy"])


def test_what_only_int8_has_is_not_given_what_int8_does():
    found = importances(trials(), ["accuracy"])["accuracy"]
    assert found["precision"] > 3 * found["calibration"]
