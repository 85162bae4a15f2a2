"""Studies with limits on side effects: taken on validation while searching, on test for the finalists."""

from __future__ import annotations

import pytest
from paretune.profiles.errors import UserError
from paretune.reports.pages.page import html_page
from paretune.search.ranking.reading import read
from paretune.search.record.evaluation import Outcome
from paretune.search.run.session import run_study

pytestmark = pytest.mark.slow

LIMITS = ["worst_class_drop <= 10 pt absolute", "agreement >= 90 %"]
LIMITED = ("worst_class_drop", "agreement")
ALL_THREE = {*LIMITED, "ece_rise"}


SMALL = {
    "space": {
        "student": {"width": [8]},
        "precision": ["fp32", "int8"],
        "backend": ["toy"],
        "calibration": {"samples": 16},
    },
    "ladder": "never",
    "constraints": LIMITS,
    "finalists": 4,
}


@pytest.fixture(scope="module")
def record(bench_in, tmp_path_factory):
    """A whole study of four candidates, two of them students."""
    return run_study(bench_in(tmp_path_factory.mktemp("limited")).study(**SMALL)).record


def complete(record):
    return [t.evaluation for t in record.trials if t.evaluation.outcome is Outcome.COMPLETE]


def test_limits_are_judged_on_validation_while_searching(record):
    reference, *others = complete(record)
    assert len(others) == 3
    for evaluation in others:
        assert set(LIMITED) <= set(evaluation.metrics)
        assert "ece_rise" not in evaluation.metrics, "no limit names it, so it is left to the finalists"
        assert "120 samples" in evaluation.metrics["agreement"].how
        for limit in record.limits:
            value = evaluation.metrics[limit.metric].value
            assert evaluation.violations[limit.text] == pytest.approx(limit.violation(value))
    values = {name: reference.metrics[name].value for name in LIMITED}
    assert values == {"worst_class_drop": 0.0, "agreement": 1.0}


def test_finalists_have_all_three_on_test(record):
    assert record.finalists
    for finalist in record.finalists:
        assert set(finalist.side_effects) == ALL_THREE
        assert all(q.low <= q.value <= q.high for q in finalist.side_effects.values())
    assert read(record).verdict.recommended is not None
    assert "Worst class drop" in html_page(read(record))


def test_what_the_teacher_brought_is_told_of_the_students_among_the_finalists(record):
    students = {t.number for t in record.trials if t.evaluation.candidate.recipe is not None}
    gains = {f.number: f.distillation_gain for f in record.finalists if f.distillation_gain is not None}
    assert gains
    assert set(gains) == students & {f.number for f in record.finalists}
    for gain in gains.values():
        assert gain.low <= gain.value <= gain.high
        assert "120 samples" in gain.how
    assert len(set(gains.values())) == 1, "both are one student"


def test_the_draw_of_calibration_samples_is_told_of_calibrated_finalists(record):
    trials = {t.number: t.evaluation.candidate for t in record.trials}
    calibrated = {f.number for f in record.finalists if trials[f.number].precision.decoded.calibrated}
    told = {f.number: f.draw_effect for f in record.finalists if f.draw_effect is not None}
    assert calibrated
    assert set(told) == calibrated
    for effect in told.values():
        assert effect.value >= 0
        assert "3 draws of 16 calibration samples give" in effect.how
        assert effect.how in html_page(read(record))


def test_a_limit_without_a_meaning_for_the_workload_stops_the_study_at_once(bench):
    """No rise of calibration error where there are no classes; the message says what there is."""
    source = (bench.root / "blobs.py").read_text()
    source = source.replace("labels=labels.astype(np.int64)", "labels=x[:, :3]")
    source = source.replace(
        "workload = Workload(",
        "from paretune import Metric\n"
        "error = Metric(name='mae', function=lambda o, y: float(np.abs(o - y).mean()),\n"
        "               higher_is_better=False)\n"
        "workload = Workload(metric=error, ",
    ).replace("cross_entropy(model(x), y)", "mse_loss(model(x), y)")
    (bench.root / "blobs.py").write_text(source)
    study = bench.study(
        "numbers", ladder="never", objectives=["mae", "latency"], constraints=["ece_rise <= 2 pt"]
    )
    with pytest.raises(UserError, match="ece_rise, which has no meaning for this workload") as raised:
        run_study(study)
    assert raised.value.accepted == "correlation"


def test_a_comparison_with_the_teacher_is_no_objective(bench):
    with pytest.raises(UserError, match="can be limited, but is no objective"):
        run_study(bench.study(objectives=["accuracy", "agreement"]))
