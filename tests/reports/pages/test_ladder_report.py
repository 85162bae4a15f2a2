"""What reports say of compression: side effects, rungs of the ladder, storage, sparsity, the teacher."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from paretune.profiles.errors import UserError
from paretune.reports.content.ladder import coverage_text, sparsity_text
from paretune.reports.content.search_story import story
from paretune.reports.content.sections import remarks
from paretune.reports.content.side_effects import side_effect_table
from paretune.reports.content.trainings import training_seconds
from paretune.reports.content.views import rows
from paretune.reports.pages.explain import explain
from paretune.reports.pages.page import html_page, markdown_report
from paretune.reports.pages.table import trial_table
from paretune.reports.pages.write import report_json
from paretune.reports.terminal.choose import choose
from paretune.search.ranking.known import known_metrics, trial_of
from paretune.search.ranking.ranking import rank
from paretune.search.ranking.reading import read
from paretune.search.record.evaluation import (
    STUDY_RECORD,
    Evaluation,
    Finalist,
    Limit,
    Outcome,
    Quantity,
    StageRecord,
    StudyRecord,
    TrialRecord,
)
from paretune.search.record.treatment import LadderRung, QatPlan, Treatment

WORST = Limit(text="worst_class_drop <= 3 pt absolute", metric="worst_class_drop", upper=True, bound=0.03)


def side_effects_of(worst: float) -> dict[str, Quantity]:
    how = "class 8: 96.9 % against the teacher's 100 %, 35 samples"
    return {
        "worst_class_drop": Quantity(value=worst, low=worst - 0.05, high=worst + 0.09, how=how),
        "agreement": Quantity(value=0.9833, low=0.972, high=0.99, how="same class on 531 of 540 samples"),
        "ece_rise": Quantity(value=-0.004, low=-0.011, high=0.003, how="1.1 % against 1.5 %"),
        "noise_drop": Quantity(value=0.0123, low=0.002, high=0.022, how="of an earlier version"),
    }


CALIBRATED = LadderRung(
    name="calibration", predicted_gain=0.004, predicted_seconds=3.0, seconds=2.6, before=0.931,
    after=0.936, kept=True, detail="tried percentile 256 and minmax 256",
)  # fmt: skip
TRAINED = LadderRung(
    name="qat", predicted_gain=0.03, predicted_seconds=14.0, seconds=11.5, before=0.936, after=0.968,
    kept=True, simulated=0.971,
)  # fmt: skip
MIXED = LadderRung(
    name="mixed-precision", predicted_gain=0.01, predicted_seconds=9.0, seconds=8.0, before=0.936,
    after=0.936, kept=False, detail="none of the 5 groups of layers wins anything back alone",
)  # fmt: skip


def climbed(evaluation: Evaluation) -> Evaluation:
    return replace(
        evaluation,
        float_quality=0.972,
        ladder=(CALIBRATED, MIXED, TRAINED),
        treatment=Treatment(
            calibration_method="percentile", calibration_samples=256, keep_float=("head",),
            qat=QatPlan(weight_bits=4, activation_bits=8, epochs=3),
        ),
        stored_as={"stem": "int8", "body.0": "int4", "body.1": "int4", "head": "float32"},
        stages=(*evaluation.stages, StageRecord(name="qat", key="f" * 64, cached=False, seconds=11.5)),
    )  # fmt: skip


def with_trial(record: StudyRecord, number: int, evaluation: Evaluation) -> StudyRecord:
    trials = (replace(t, evaluation=evaluation) if t.number == number else t for t in record.trials)
    return replace(record, trials=tuple(trials))


@pytest.fixture(scope="module")
def compressed(study: StudyRecord) -> StudyRecord:
    """The made study, whose answer climbed the ladder and whose finalists have side effects."""
    answer = read(study).verdict.recommended
    assert answer is not None
    gain = Quantity(value=0.006, low=-0.004, high=0.016, how="98.1 % against 97.5 %, 540 samples")
    finalists = tuple(
        replace(
            f,
            side_effects=side_effects_of(0.01 * place),
            distillation_gain=gain if f.number == answer else None,
        )
        for place, f in enumerate(study.finalists)
    )
    record = with_trial(study, answer, climbed(trial_of(study, answer).evaluation))
    return replace(record, finalists=finalists)


@pytest.fixture(scope="module")
def answer(compressed: StudyRecord) -> TrialRecord:
    number = read(compressed).verdict.recommended
    assert number is not None
    return trial_of(compressed, number)


def test_record_survives_as_json(compressed: StudyRecord) -> None:
    assert STUDY_RECORD.validate_json(STUDY_RECORD.dump_json(compressed)) == compressed


def test_candidates_without_a_ladder_say_nothing_of_it(compressed: StudyRecord) -> None:
    text = explain(read(compressed), compressed.baseline or 0)
    assert "what won it back" not in text
    assert "## Compression" not in text


def test_coverage_counts_layers_and_names_those_in_float(answer: TrialRecord) -> None:
    evaluation = answer.evaluation
    assert coverage_text(evaluation) == (
        "weights are stored as int4 in 2 of 4 layers, as float32 in 1, as int8 in 1; in float: head"
    )
    assert coverage_text(replace(evaluation, stored_as={"a": "int8", "b": "int8"})) == (
        "weights are stored as int8 in all 2 layers"
    )
    many = {f"layer{i}": "float16" for i in range(12)} | {"last": "int8"}
    assert coverage_text(replace(evaluation, stored_as=many)).endswith("layer7 and 4 more")
    assert coverage_text(replace(evaluation, stored_as={})) == ""


def test_sparsity_is_told_as_it_is(answer: TrialRecord) -> None:
    base = answer.evaluation
    sizes = {"size_bytes": Quantity(value=58_600), "compressed_bytes": Quantity(value=38_300)}
    loose = replace(base.candidate, sparsity="unstructured:0.5", backend="tflite")
    text = sparsity_text(replace(base, candidate=loose, zero_share=0.5, metrics={**base.metrics, **sizes}))
    assert [part for part in ("50 %", "58.6 kB", "38.3 kB", "tflite") if part not in text] == []
    pattern = replace(base.candidate, sparsity="2:4", backend="trt")
    chosen = replace(base, candidate=pattern, notes=("sparse kernels in 3 of 5 layers",))
    assert sparsity_text(chosen).endswith("sparse kernels in 3 of 5 layers")
    assert sparsity_text(replace(base, candidate=replace(base.candidate, sparsity="dense"))) == ""


def test_the_table_of_side_effects_has_the_finalists_in_order(
    compressed: StudyRecord, answer: TrialRecord
) -> None:
    ranking = rank(compressed)
    found = side_effect_table(read(compressed))
    assert found is not None
    finalists = {f.number for f in compressed.finalists}
    assert [row.number for row in found.rows] == [e.number for e in ranking.entries if e.number in finalists]
    assert [row.recommended for row in found.rows].count(True) == 1
    assert [title for title, _ in found.columns] == [
        "Worst class drop",
        "Agreement with the teacher",
        "Rise of calibration error",
    ]
    rise = found.rows[0].cells[2]
    assert (rise.text, rise.interval, rise.note) == ("-0.4 pt", "-1.1 to 0.3", "1.1 % against 1.5 %")


def test_finalists_with_one_student_share_a_sentence(compressed: StudyRecord, answer: TrialRecord) -> None:
    gain = Quantity(value=0.01, how="same student")
    shared = tuple(replace(f, distillation_gain=gain) for f in compressed.finalists)
    found = side_effect_table(read(replace(compressed, finalists=shared)))
    assert found is not None
    told = [line for line in found.lines if "without the teacher" in line]
    assert len(told) == 1
    assert told[0].startswith(", ".join(f"#{row.number}" for row in found.rows) + ": 1 pt better")


def test_tags_and_story_tell_what_the_ladder_did(compressed: StudyRecord, answer: TrialRecord) -> None:
    row = next(r for r in rows(read(compressed)) if r.number == answer.number)
    assert row.tags[-3:] == ("calibrated anew", "mixed precision", "trained quantized")
    text = dict(story(compressed))["quantization"]
    for fact in ("1 candidate ", "2 of 3 rungs", "3.7 pt at most", "fake quantization by 0.3 pt"):
        assert fact in text
    assert training_seconds(answer) >= 11.5


def test_remarks_about_the_teacher_are_shown(study: StudyRecord) -> None:
    remark, found = "the sampler had to be replaced", "the student beats the teacher (0.99 against 0.97)"
    record = replace(study, remarks=(remark,))
    for number, better in ((6, "0.99"), (7, "0.98")):
        own = trial_of(record, number).evaluation
        note = found.replace("0.99", better)
        record = with_trial(record, number, replace(own, about_teacher=(note,)))
    assert remarks(record) == (remark, "the student beats the teacher (0.98 to 0.99 against 0.97)")
    for made in (html_page(read(record)), markdown_report(read(record)).replace("\\", "")):
        assert all(text in made for text in remarks(record))


def test_csv_and_json_have_it(compressed: StudyRecord, answer: TrialRecord) -> None:
    line = trial_table(read(compressed)).set_index("trial").loc[answer.number]
    assert line["test_agreement"] == pytest.approx(0.9833)
    assert line["distillation_gain"] == pytest.approx(0.006)
    assert line["rungs"] == "calibration, qat"
    assert line["rungs_tried"] == "calibration, mixed-precision, qat"
    assert line["stored_as"].startswith("weights are stored as int4 in 2 of 4 layers")
    assert line["float_accuracy"] == pytest.approx(0.972)
    whole = json.loads(report_json(read(compressed)))["record"]
    finalist = next(f for f in whole["finalists"] if f["number"] == answer.number)
    assert finalist["side_effects"]["agreement"]["how"] == "same class on 531 of 540 samples"
    trial = next(t for t in whole["trials"] if t["number"] == answer.number)
    assert [rung["name"] for rung in trial["evaluation"]["ladder"]] == [
        "calibration",
        "mixed-precision",
        "qat",
    ]


def test_a_finalist_over_a_limit_on_a_side_effect_is_not_recommended(
    compressed: StudyRecord, answer: TrialRecord
) -> None:
    """On validation it met the limit, on test it does not; another finalist does."""
    number = answer.number
    own = trial_of(compressed, number).evaluation
    metrics = {**own.metrics, "worst_class_drop": Quantity(value=0.0)}
    record = with_trial(compressed, number, replace(own, metrics=metrics))
    finalists = tuple(
        replace(f, side_effects=side_effects_of(0.05 if f.number == number else 0.01))
        for f in record.finalists
    )
    record = replace(record, finalists=finalists, limits=(*record.limits, WORST))
    assert known_metrics(record, number)[0]["worst_class_drop"].value == 0.05
    entry = rank(record).of(number)
    assert entry is not None
    assert not entry.feasible
    assert entry.violations[WORST.text] == pytest.approx(0.02)
    assert read(record).verdict.recommended not in (None, number)


def test_choose_takes_a_limit_that_only_finalists_have(compressed: StudyRecord) -> None:
    """Where the search did not take it, the others cannot be said to meet it."""
    found = choose(compressed, [replace(WORST, bound=0.015, text="worst_class_drop <= 1.5 pt")])
    finalists = {f.number for f in compressed.finalists}
    assert {e.number for e in found.ranking.entries if e.feasible} <= finalists
    bare = replace(compressed, finalists=tuple(replace(f, side_effects={}) for f in compressed.finalists))
    with pytest.raises(UserError, match="no candidate of this study has the metric worst_class_drop"):
        choose(bare, [WORST])


def test_old_records_have_none_of_it(study: StudyRecord) -> None:
    plain = json.loads(STUDY_RECORD.dump_json(study))
    for trial in plain["trials"]:
        for name in ("ladder", "treatment", "float_quality", "stored_as", "zero_share"):
            trial["evaluation"].pop(name, None)
    for finalist in plain["finalists"]:
        finalist.pop("side_effects")
        finalist.pop("distillation_gain")
    record = STUDY_RECORD.validate_python(plain)
    assert isinstance(record.finalists[0], Finalist)
    assert "Side effects" not in html_page(read(record))
    assert all(t.evaluation.outcome in Outcome for t in record.trials)
