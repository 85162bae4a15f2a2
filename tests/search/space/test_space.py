from dataclasses import replace

import optuna
import pytest
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.search.job.space_of_a_job import build_space
from paretune.search.job.study_file import StudyFile
from paretune.search.record.candidate import Candidate, Recipe, Sparsity
from paretune.search.record.evaluation import Masked
from paretune.search.space.space import BackendChoices, Space
from paretune.search.workload.workload import Workload

ORT = BackendChoices(
    name="ort",
    precisions=(Precision.FP32, Precision.INT8, Precision.INT8_DYNAMIC),
    calibration_methods=("minmax", "entropy"),
    sparsities=("dense", "channel:0.5"),
)
TRT = BackendChoices(
    name="trt", precisions=(Precision.FP16,), calibration_methods=("minmax",), sparsities=("dense", "2:4")
)


def space(*backends: BackendChoices, **changes) -> Space:
    values = {
        "student_axes": {"width": (0.25, 0.5, 1.0), "depth": (1, 2, 3)},
        "temperatures": (2.0, 4.0),
        "weights": (0.5,),
        "calibration_samples": (32, 64),
        "per_channel": (True,),
        "recipe": Recipe(epochs=3, finetune_epochs=2),
    }
    return Space(backends=backends or (ORT, TRT), **{**values, **changes})


def test_candidates_are_distinct_legal_and_as_many_as_said():
    candidates = list(space().candidates())
    assert len({c.digest for c in candidates}) == len(candidates) == space().size
    assert not [c for c in candidates if c.backend == "ort" and c.sparsity == "2:4"]
    assert not [c for c in candidates if c.is_teacher and c.recipe]
    assert not [c for c in candidates if c.precision is Precision.FP32 and c.calibration_method]


@pytest.mark.parametrize("backends", [(ORT,), (TRT,), (ORT, TRT)])
def test_every_candidate_has_parameters_that_lead_back_to_it(backends):
    whole = space(*backends)
    study = optuna.create_study(directions=["minimize", "minimize"])
    for candidate in whole.candidates():
        study.enqueue_trial(whole.params(candidate))
        assert whole.suggest(study.ask()) == candidate


def test_student_axes_may_have_names_of_the_space():
    axes = {
        "model": ("small", "large"),
        "temperature": (1, 2),
        "student_width": (3, 4),
        "order": (1, 2),
        "width": (3, 4),
    }
    whole = space(student_axes=axes)
    study = optuna.create_study(directions=["minimize", "minimize"])
    for candidate in whole.candidates():
        study.enqueue_trial(whole.params(candidate))
        assert whole.suggest(study.ask()) == candidate


@pytest.mark.parametrize(
    "changes",
    [
        {"depth": 7},
        {"depth": 0},
        {"depth": 2.5},
        {"depth": "two"},
        {"depth": True},
        {"width": 0.3},
        {"width": "x"},
    ],
)
def test_values_that_no_axis_has_are_not_in_the_space(changes):
    wanted = {"depth": 2, "width": 0.5}
    inside = next(c for c in space().candidates() if dict(c.student) == wanted)
    assert inside in space()
    student = tuple(sorted({**dict(inside.student), **changes}.items()))
    assert replace(inside, student=student) not in space()


def test_samplers_propose_only_what_is_in_the_space():
    whole = space()
    known = {c.digest for c in whole.candidates()}
    study = optuna.create_study(
        directions=["minimize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=1)
    )
    proposed = []
    for index in range(200):
        trial = study.ask()
        proposed.append(whole.suggest(trial).digest)
        study.tell(trial, [index, -index])
    assert set(proposed) <= known
    assert len(set(proposed)) > 60


def test_evenly_spaced_numbers_keep_their_order_for_the_sampler():
    whole = space(ORT, student_axes={"width": (0.25, 0.5, 0.75), "depth": (1, 2, 4)})
    student = next(c for c in whole.candidates() if c.student)
    study = optuna.create_study()
    study.enqueue_trial(whole.params(student))
    trial = study.ask()
    whole.suggest(trial)
    assert isinstance(trial.distributions["width"], optuna.distributions.FloatDistribution)
    assert isinstance(trial.distributions["depth"], optuna.distributions.CategoricalDistribution)


def test_simple_choices_are_the_uncompressed_teacher_in_every_precision_the_usual_ones_first():
    found = [(c.backend, str(c.precision)) for c in space().baselines()]
    usual = [("ort", "fp32"), ("ort", "int8"), ("trt", "fp16")]
    assert found == [*usual, ("ort", "int8-dynamic")]
    assert [(c.backend, str(c.precision)) for c in space().usual_choices()] == usual
    assert all(c.is_teacher and c in space() for c in space().baselines())


def test_what_has_to_be_tuned_is_a_usual_choice_only_where_there_is_nothing_else():
    slow = replace(ORT, name="slow", tunable=True)
    both = space(slow, ORT)
    assert both.usual_choices() == space(ORT).usual_choices() == both.baselines()[:2]
    assert set(both.baselines()) == {*space(ORT).baselines(), *space(slow).baselines()}
    assert {candidate.backend for candidate in space(slow).usual_choices()} == {"slow"}


def test_a_candidate_outside_the_space_is_told_apart():
    assert Candidate(backend="tflite", precision=Precision.FP32) not in space()
    assert Candidate(backend="ort", precision=Precision.FP16) not in space()


def test_an_empty_space_says_what_was_masked():
    empty = BackendChoices(name="trt", precisions=(), calibration_methods=(), sparsities=())
    with pytest.raises(UserError, match=r"space is empty[\s\S]*needs an NVIDIA GPU"):
        space(empty, masked=(Masked(backend="trt", what="all", reason="needs an NVIDIA GPU"),))


def test_canonical_form_forgets_what_changes_nothing():
    one = Candidate(
        backend="ort",
        precision=Precision.FP32,
        calibration_method="minmax",
        calibration_samples=8,
        recipe=Recipe(epochs=3),
    )
    assert one.digest == Candidate(backend="ort", precision=Precision.FP32).digest


@pytest.mark.parametrize("text", ["dense", "2:4", "channel:0.5", "unstructured:0.9"])
def test_sparsity_notation_round_trips(text):
    assert str(Sparsity.parse(text)) == text


@pytest.mark.parametrize("text", ["channel", "channel:1.5", "channel:0", "sparse:0.5", "4:2"])
def test_other_sparsities_are_refused(text):
    with pytest.raises(UserError, match="not a sparsity"):
        Sparsity.parse(text)


@pytest.mark.parametrize(
    ("student", "message"),
    [
        ({"width": [8]}, "have no axis 'width'"),
        ({"macs": [0.5, 1.5]}, "macs is no share"),
        ({"depth": [0]}, "depth"),
    ],
)
def test_students_without_a_builder_have_two_axes_of_shares(student, message):
    study = StudyFile(name="s", workload="w.py", space={"student": student}, budget={"trials": 1})
    workload = Workload(name="w", splits=lambda: None, teacher=lambda: None)
    with pytest.raises(UserError, match=message):
        build_space(study, load_profile("host"), workload)


def weights_of(workload, **given):
    study = StudyFile(
        name="s", workload="w.py", space={"student": {"width": [8]}, **given}, budget={"trials": 1}
    )
    return build_space(study, load_profile("host"), workload).weights


def test_training_without_the_teacher_is_a_candidate_unless_the_file_says_otherwise():
    made = {"name": "w", "splits": lambda: None, "teacher": lambda: None, "student": lambda width: None}
    assert weights_of(Workload(**made)) == (0.7, 0.0)
    assert weights_of(Workload(**made), distill={"weight": 0.5}) == (0.5,)
    # A loss of the user's own decides by itself what the teacher is asked; an embedding has no labels.
    assert weights_of(Workload(**made, loss=lambda a, b, c: None)) == (0.7,)
    assert weights_of(Workload(**made, task="embedding")) == (0.7,)


def test_without_the_teacher_there_is_one_training_for_all_temperatures():
    whole = space(weights=(0.7, 0.0))
    recipes = {c.recipe for c in whole.candidates() if c.student and c.sparsity == "dense"}
    assert {(r.temperature, r.distill_weight) for r in recipes} == {(2.0, 0.7), (4.0, 0.7), (2.0, 0.0)}
    assert len(list(whole.candidates())) == whole.size
    study = optuna.create_study(directions=["minimize", "minimize"])
    for candidate in whole.candidates():
        study.enqueue_trial(whole.params(candidate))
        assert whole.suggest(study.ask()) == candidate


def test_a_space_has_a_bound():
    with pytest.raises(UserError, match="too large to be searched") as caught:
        space(student_axes={"width": tuple(range(1, 2000)), "depth": tuple(range(1, 2000))})
    assert "3996001 students" in str(caught.value)


def test_a_doubt_belongs_to_a_backend_and_a_kind_of_sparsity():
    """Kernels that are chosen by the values of weights: untrained ones do not tell their latency."""
    choosy = replace(ORT, value_dependent=(("unstructured", "packed"), ("2:4", "picked")))
    found_in = space(choosy)
    found = {
        sparsity: found_in.doubt(Candidate(backend="ort", precision=Precision.INT8, sparsity=sparsity))
        for sparsity in ("dense", "channel:0.5", "unstructured:0.8", "2:4")
    }
    assert found == {"dense": "", "channel:0.5": "", "unstructured:0.8": "packed", "2:4": "picked"}
    assert found_in.doubt(Candidate(backend="another", precision=Precision.FP32, sparsity="2:4")) == ""
