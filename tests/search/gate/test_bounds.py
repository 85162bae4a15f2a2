"""Bounds on a candidate's quality: each kind of relative, the margins, and all of it against brute force."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from paretune.profiles.precision import Precision
from paretune.search.gate.bounds import COLLAPSE, QualityBounds
from paretune.search.gate.relatives import less_compressed, less_sparse
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import Bound, Evaluation, Outcome, Quantity, TrialRecord
from paretune.search.record.quality import QualityScale

RECIPE = Recipe(epochs=10)
FINETUNED = Recipe(epochs=10, finetune_epochs=4)
ACCURACY = QualityScale(metric="accuracy", higher_is_better=True, is_share=True)
ERROR = QualityScale(metric="error", higher_is_better=False, is_share=True)
LOSS = QualityScale(metric="loss", higher_is_better=False, is_share=False)


def student(precision: str = "fp32", backend: str = "ort", **more: object) -> Candidate:
    """A student of width 0.5 unless `axes` says otherwise."""
    axes = more.pop("axes", {"width": 0.5})
    values: dict[str, object] = {"student": tuple(axes.items()), "recipe": RECIPE, **more}
    return Candidate(backend=backend, precision=Precision(precision), **values)


def int8(backend: str = "ort", method: str = "minmax", **more: object) -> Candidate:
    values = {"calibration_method": method, "calibration_samples": 64, **more}
    return student("int8", backend, **values)


def teacher(precision: str = "fp32", backend: str = "ort", **more: object) -> Candidate:
    return Candidate(backend=backend, precision=Precision(precision), **more)


def trial(number: int, candidate: Candidate, value: float, metric: str = "accuracy", **more) -> TrialRecord:
    metrics = {metric: Quantity(value=value)}
    if "macs" in more:
        metrics["macs"] = Quantity(value=more.pop("macs"))
    evaluation = Evaluation(candidate=candidate, outcome=Outcome.COMPLETE, metrics=metrics)
    return TrialRecord(number=number, evaluation=evaluation, started=0.0, seconds=1.0, **more)


def bounds(*trials: TrialRecord, scale: QualityScale = ACCURACY, margin: float = 0.01) -> QualityBounds:
    found = QualityBounds(scale, margin)
    for record in trials:
        found.learn(record)
    return found


def bound_of(known: QualityBounds, candidate: Candidate, macs: float | None = None) -> Bound | None:
    """What the gate decides by, in the metric's own values."""
    ceiling = known.ceiling(candidate, macs)
    return None if ceiling is None else known.explained(ceiling, candidate)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (student("fp32"), student("fp16"), True),
        (student("fp16"), student("fp32"), False),
        (student("fp16"), student("bf16"), False),
        (student("fp32", "tflite"), int8("ort"), True),
        (student("int4-weight"), int8(), False),  # fewer bits in the weights
        (student("fp32"), student("int4-weight"), True),
        (student("fp16"), student("int4-weight"), False),  # fewer bits in the activations
        (student("int8-dynamic"), int8(), False),
        (replace(int8(), precision=Precision.INT16X8), int8(), True),
        (replace(int8(), precision=Precision.INT16X8), int8(method="entropy"), False),
        (replace(int8(per_channel=False), precision=Precision.INT16X8), int8(), False),
        (int8(), int8(per_channel=False), True),
        (int8(), int8(), False),
        (int8("tflite"), int8("ort", per_channel=False), False),
        (int8(method="entropy"), int8(per_channel=False), False),
    ],
)
def test_which_form_keeps_more_of_each_number(a, b, expected):
    assert less_compressed(a, b) is expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("dense", "2:4", True),
        ("dense", "channel:0.1", True),
        ("channel:0.1", "dense", False),
        ("dense", "dense", False),
        ("channel:0.25", "channel:0.5", True),
        ("channel:0.5", "channel:0.5", False),
        ("channel:0.25", "unstructured:0.5", False),
        ("2:4", "unstructured:0.8", False),
    ],
)
def test_which_was_pruned_less(a, b, expected):
    assert less_sparse(student(sparsity=a), student(sparsity=b)) is expected


def test_nothing_known_bounds_a_share_by_its_end_and_no_other_metric_at_all():
    found = bound_of(bounds(), student())
    assert found.value == 1.0
    assert found.basis == "accuracy is never more than 100.00 %"
    error = bound_of(bounds(scale=ERROR), student())
    assert (error.value, error.basis) == (0.0, "error is never less than 0")
    assert bound_of(bounds(scale=LOSS), student()) is None


def test_the_same_student_at_a_finer_precision_bounds_it_on_any_backend():
    found = bound_of(bounds(trial(12, student("fp32", "tflite"), 0.912)), int8("ort"))
    assert found.value == pytest.approx(0.922)
    assert found.basis == "#12, the same student at fp32 on tflite, has 91.20 %; 1 pt margin"
    assert found.beaten_by is None


@pytest.mark.parametrize(
    "other",
    [
        student(axes={"width": 0.25}),
        student(recipe=replace(RECIPE, temperature=2.0)),
        student(sparsity="channel:0.5", recipe=FINETUNED),
        student("int8-dynamic"),
    ],
)
def test_another_training_or_a_coarser_form_bounds_nothing(other):
    assert bound_of(bounds(trial(12, other, 0.5)), int8()).value == 1.0


def test_the_same_form_per_channel_bounds_it_per_tensor():
    found = bound_of(bounds(trial(3, int8(), 0.8)), int8(per_channel=False))
    assert found.basis == "#3, the same student at int8 per channel, has 80.00 %; 1 pt margin"


def test_a_larger_student_in_the_same_form_bounds_a_smaller_one():
    known = trial(8, student("fp16", axes={"depth": 3, "width": 1.0}), 0.7)
    found = bound_of(bounds(known), student("fp16", axes={"depth": 3, "width": 0.5}))
    assert found.value == pytest.approx(0.71)
    assert found.basis == "#8, a larger student (depth=3 width=1.0), has 70.00 %; 1 pt margin"


@pytest.mark.parametrize(
    "candidate",
    [
        student("fp16", axes={"depth": 4, "width": 0.5, "act": "relu", "se": False}),  # deeper
        student("fp16", axes={"depth": 3, "width": 1.0, "act": "relu", "se": False}),  # the same student
        student("fp16", axes={"depth": 3, "width": 0.5, "act": "gelu", "se": False}),
        student("fp16", axes={"depth": 3, "width": 0.5, "act": "relu", "se": True}),
        student("fp16", axes={"depth": 3, "width": 0.5, "act": "relu"}),
        student("fp16", "tflite", axes={"depth": 3, "width": 0.5, "act": "relu", "se": False}),
        student("bf16", axes={"depth": 3, "width": 0.5, "act": "relu", "se": False}),
    ],
)
def test_a_student_that_is_not_larger_or_differs_otherwise_bounds_nothing(candidate):
    known = trial(8, student("fp16", axes={"depth": 3, "width": 1.0, "act": "relu", "se": False}), 0.7)
    assert bound_of(bounds(known), candidate).value == 1.0


def test_a_larger_number_that_makes_a_smaller_model_bounds_nothing():
    known = bounds(trial(8, student(axes={"stride": 4}), 0.5, macs=1e6))
    assert bound_of(known, student(axes={"stride": 2}), macs=4e6).value == 1.0
    assert bound_of(known, student(axes={"stride": 2}), macs=1e5).value == pytest.approx(0.51)
    assert bound_of(known, student(axes={"stride": 2})).value == pytest.approx(0.51)


def test_the_same_student_pruned_less_bounds_it():
    dense = trial(7, student("fp16"), 0.8)
    pruned = student("fp16", sparsity="channel:0.5", recipe=FINETUNED)
    found = bound_of(bounds(dense), pruned)
    assert found.value == pytest.approx(0.81)
    assert found.basis == "#7, the same student without pruning, has 80.00 %; 1 pt margin"
    less = trial(9, student("fp16", sparsity="channel:0.25", recipe=FINETUNED), 0.7)
    assert bound_of(bounds(dense, less), pruned).basis.startswith("#9, the same student at channel:0.25, has")
    assert bound_of(bounds(less), student("fp16")).value == 1.0
    assert bound_of(bounds(dense), replace(pruned, precision=Precision.FP32)).value == 1.0
    assert bound_of(bounds(dense), replace(pruned, recipe=replace(FINETUNED, epochs=20))).value == 1.0


def test_the_teacher_at_its_best_calibration_bounds_students_in_the_same_form():
    bad = teacher("int8", calibration_method="minmax", calibration_samples=16)
    good = replace(bad, calibration_samples=64)
    known = bounds(trial(1, bad, 0.92), trial(2, good, 0.95), trial(3, teacher("int8", "tflite"), 0.4))
    found = bound_of(known, int8())
    assert found.value == pytest.approx(0.96)
    assert found.basis == "#2, the teacher at int8 on ort, has 95.00 %; 1 pt margin"
    assert bound_of(known, student("fp16")).value == 1.0
    pruned_teacher = teacher("fp32", sparsity="channel:0.5", recipe=FINETUNED)
    assert bound_of(bounds(trial(0, teacher(), 0.9)), pruned_teacher).value == pytest.approx(0.91)


def test_the_least_of_all_relatives_counts():
    known = [
        trial(1, student("fp32"), 0.93),
        trial(2, int8(axes={"width": 1.0}), 0.91),
        trial(3, teacher("int8"), 0.95),
    ]
    assert all(bound_of(bounds(*order), int8()).basis[:2] == "#2" for order in itertools.permutations(known))


def test_a_value_seen_above_its_relative_widens_the_margin_of_that_kind_only():
    wide, narrow = ({"width": 1.0}, {"width": 0.5})
    known = [
        trial(1, student(axes=wide), 0.90),
        trial(2, student(axes=narrow), 0.915),  # a point and a half better than the larger one
        trial(3, student("fp16", axes=wide), 0.80),
        trial(4, student("fp32", axes={"width": 0.25}), 0.85),
    ]
    for order in itertools.permutations(known):
        found = bounds(*order)
        smaller = bound_of(found, student("fp16", axes=narrow))
        assert smaller.value == pytest.approx(0.815)
        assert smaller.basis.endswith("; 1.5 pt margin, the most by which one was seen to be better")
        assert bound_of(found, student("fp16", axes={"width": 0.25})).value == pytest.approx(0.815)
        assert found.margin("size") == pytest.approx(0.015)
        assert found.margin("precision") == 0.01
        assert found.margin("precision", "size") == pytest.approx(0.015)


def test_a_kind_of_relation_that_was_broken_by_more_than_two_margins_bounds_nothing():
    first = trial(1, teacher(), 0.70)
    slightly = bounds(first, trial(2, student("fp32"), 0.719))
    assert bound_of(slightly, student("fp32", axes={"depth": 9})).value == pytest.approx(0.719)
    broken = bounds(first, trial(2, student("fp32"), 0.7202))
    assert bound_of(broken, student("fp32", axes={"depth": 9})).value == 1.0


def test_a_small_excess_leaves_the_stated_margin():
    found = bounds(trial(1, student("fp32"), 0.900), trial(2, student("fp16"), 0.904))
    assert found.margin("precision") == 0.01


def test_a_form_that_broke_when_it_was_compiled_bounds_nothing():
    broken = [trial(1, student("fp32"), 0.95), trial(2, student("fp16"), 0.95 - COLLAPSE * 0.01 - 0.001)]
    worse = [trial(1, student("fp32"), 0.95), trial(2, student("fp16"), 0.95 - COLLAPSE * 0.01 + 0.001)]
    for order in itertools.permutations(broken):
        assert bound_of(bounds(*order), int8()).basis.startswith("#1")
        assert bound_of(bounds(*order), student("fp16", axes={"width": 0.25})).value == 1.0
    for order in itertools.permutations(worse):
        assert bound_of(bounds(*order), int8()).basis.startswith("#2")
        assert bound_of(bounds(*order), student("fp16", axes={"width": 0.25})).basis.startswith("#2")


def test_a_form_that_broke_widens_no_margin():
    floats = [trial(1, student("fp32"), 0.95), trial(2, student("fp32", axes={"width": 0.25}), 0.94)]
    broken = trial(3, student("fp16"), 0.3)
    fine = [trial(4, int8(), 0.94), trial(5, student("fp16", axes={"width": 0.25}), 0.93)]
    for order in itertools.permutations([broken, *fine]):
        found = bounds(*floats, *order)
        assert (found.margin("precision"), found.margin("size")) == (0.01, 0.01)


def test_a_value_that_is_no_number_breaks_no_other():
    infinite = trial(1, student("fp32"), float("inf"))
    assert bound_of(bounds(infinite, trial(2, student("fp16"), 0.5)), int8()).value == pytest.approx(0.51)


@pytest.mark.parametrize(
    "change",
    [
        {"duplicate_of": 0},
        {"outcome": Outcome.GATED},
        {"outcome": Outcome.FAILED},
        {"metrics": {}},
        {"metrics": {"accuracy": Quantity(value=float("nan"))}},
    ],
)
def test_only_complete_trials_with_a_number_tell_anything(change):
    record = trial(1, student("fp32"), 0.5)
    own = {key: value for key, value in change.items() if key != "duplicate_of"}
    record = replace(record, evaluation=replace(record.evaluation, **own))
    record = replace(record, duplicate_of=change.get("duplicate_of"))
    assert bound_of(bounds(record), int8()).value == 1.0
    assert bound_of(bounds(trial(1, student("fp32"), 0.5)), int8()).value == pytest.approx(0.51)


def test_where_lower_is_better_the_margin_is_taken_off():
    found = bound_of(bounds(trial(1, student("fp32"), 0.08, "error"), scale=ERROR), int8())
    assert found.value == pytest.approx(0.07)
    assert found.basis == "#1, the same student at fp32, has 0.08; 0.01 margin"
    assert bound_of(bounds(trial(1, student("fp32"), 0.005, "error"), scale=ERROR), int8()).value == 0.0
    below = bound_of(bounds(trial(1, student("fp32"), 0.005, "loss"), scale=LOSS), int8())
    assert below.value == pytest.approx(-0.005)


def test_a_share_is_never_bounded_above_its_end():
    assert bound_of(bounds(trial(1, student("fp32"), 0.995)), int8()).value == 1.0


# -- against brute force ------------------------------------------------------------------------------

STUDENTS = [{"depth": d, "width": w, "act": a} for d in (1, 2) for w in (0.5, 1.0) for a in ("relu", "gelu")]
FORMS = [
    {"precision": Precision.FP32},
    {"precision": Precision.FP16},
    {"precision": Precision.INT8, "calibration_method": "minmax", "calibration_samples": 64},
    {
        "precision": Precision.INT8,
        "calibration_method": "minmax",
        "calibration_samples": 64,
        "per_channel": False,
    },
]


def everyone() -> list[Candidate]:
    found = []
    for backend, form in itertools.product(("ort", "tflite"), FORMS):
        plain = Candidate(backend=backend, **form)
        found.append(plain)
        for axes, sparsity in itertools.product(STUDENTS, ("dense", "channel:0.25", "channel:0.5")):
            recipe = RECIPE if sparsity == "dense" else FINETUNED
            found.append(replace(plain, student=tuple(axes.items()), sparsity=sparsity, recipe=recipe))
    return found


def relations(a: Candidate, b: Candidate) -> list[str]:
    """The kinds of relation in which `a` must be at least as good as `b`, spelled out."""
    form = ("backend", "precision", "calibration_method", "calibration_samples", "per_channel")
    same_form = all(getattr(a, name) == getattr(b, name) for name in form)
    found = []
    if (a.student, a.sparsity) == (b.student, b.sparsity) and less_compressed(a, b):
        found.append("precision")
    if same_form and a.student and a.student == b.student and less_sparse(a, b):
        found.append("sparsity")
    if a.student and b.student and same_form and a.sparsity == b.sparsity:
        one, two = dict(a.student), dict(b.student)
        at_least = one["depth"] >= two["depth"] and one["width"] >= two["width"]
        if at_least and one["act"] == two["act"] and one != two:
            found.append("size")
    if a.is_teacher and not b.is_teacher and (a.backend, a.precision) == (b.backend, b.precision):
        found.append("teacher")
    return found


@pytest.mark.parametrize("scale", [ACCURACY, ERROR, LOSS], ids=lambda scale: scale.metric)
@pytest.mark.parametrize("seed", range(3))
def test_bounds_and_margins_are_those_of_all_pairs(scale, seed):
    rng, margin = random.Random(seed), 0.02
    population = [c for c in everyone() if not (c.is_teacher and not c.per_channel)]
    some = rng.sample(population, 60)
    some += [c for c in population if c.is_teacher and c.backend == "ort" and c not in some]
    rng.shuffle(some)
    known = {c: round(rng.uniform(0.5, 0.535), 4) for c in some}
    found = bounds(
        *(trial(n, c, v, scale.metric) for n, (c, v) in enumerate(known.items())), scale=scale, margin=margin
    )
    sign = 1 if scale.higher_is_better else -1
    pairs = [(kind, a, b) for a in known for b in known for kind in relations(a, b)]
    assert {kind for kind, _, _ in pairs} == {"precision", "sparsity", "size", "teacher"}
    margins = {
        kind: max([margin, *(sign * (known[b] - known[a]) for k, a, b in pairs if k == kind)])
        for kind in ("precision", "sparsity", "size", "teacher")
    }
    assert {kind: found.margin(kind) for kind in margins} == pytest.approx(margins)
    for candidate in population:
        limits = [
            sign * known[a] + margins[kind]
            for a in known
            for kind in relations(a, candidate)
            if a != candidate
        ]
        if limits or scale.is_share:
            assert bound_of(found, candidate).value == pytest.approx(sign * min([*limits, scale.best]))
        else:
            assert bound_of(found, candidate) is None
