from __future__ import annotations

from dataclasses import replace

import pytest
from paretune.backends.registry import get_backend
from paretune.profiles.errors import InternalError, UserError
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Recipe
from paretune.search.record.evaluation import Bound
from paretune.search.record.progress import Progress
from paretune.search.record.protocols import Decision
from paretune.search.record.stops import TrainingStopped
from paretune.search.record.treatment import QatPlan
from paretune.search.space.space import BackendChoices, Space
from paretune.search.stages.models.onnx_models import OnnxModels
from paretune.search.stages.models.torch_models import TorchModels

SAMPLES = 600
SPACE = Space(
    backends=(
        BackendChoices(
            name="toy", precisions=(Precision.FP32,), calibration_methods=(), sparsities=("dense", "2:4")
        ),
    ),
    student_axes={"width": (8, 16)},
    temperatures=(4.0,),
    weights=(0.7,),
    calibration_samples=(32,),
    per_channel=(True,),
    recipe=Recipe(epochs=4, finetune_epochs=2),
)


@pytest.fixture
def models(open_models) -> TorchModels:
    """The models of the small workload, with its teacher trained."""
    models = open_models()
    models.prepare(SPACE)
    return models


def kinds(models, candidate) -> list[str]:
    return [training.kind for training in models.trainings(candidate)]


def test_what_is_needed_and_in_which_order(models, candidate):
    assert kinds(models, candidate(width=None)) == []
    assert kinds(models, candidate()) == ["distill"]
    assert kinds(models, candidate(sparsity="2:4")) == ["distill", "prune"]
    assert kinds(models, candidate(width=None, sparsity="channel:0.5")) == ["prune"]
    dense, sparse = models.trainings(candidate(sparsity="2:4"))
    assert (dense,) == models.trainings(candidate())
    assert dense.key == models.needed.key(candidate())
    assert sparse.key == models.needed.key(candidate(sparsity="2:4"))
    assert models.trainings(candidate(temperature=1.0))[0].key != dense.key


def test_fake_quantization_trains_per_channel(models, candidate):
    int4 = replace(candidate(sparsity="2:4"), precision=Precision.INT4_WEIGHT)
    assert models.qat_plan(int4, 3) == QatPlan(weight_bits=4, activation_bits=0, epochs=3)
    assert models.qat_plan(replace(int4, per_channel=False), 3) is None
    assert models.qat_plan(replace(int4, precision=Precision.FP16), 3) is None


def test_trainings_are_done_once_any_process_has_done_them(models, open_models, candidate):
    sparse = candidate(sparsity="2:4", finetune_epochs=3)
    for training in models.trainings(sparse):
        assert (training.done, training.quality, training.seconds) == (False, None, None)
    others = open_models()  # as another process would open them
    dense_entry = others.trainer.trained(candidate())
    dense, pruned = models.trainings(sparse)
    assert (dense.done, pruned.done) == (True, False)
    assert dense.quality == dense_entry.meta["quality"]["validation"]
    assert dense.seconds == dense_entry.made_seconds
    pruned_entry = others.trainer.trained(sparse)
    pruned = models.trainings(sparse)[1]
    assert pruned.quality == pruned_entry.meta["quality"]["validation"]
    assert pruned.seconds == pruned_entry.made_seconds
    assert pruned.work == 3 * SAMPLES * pruned_entry.meta["macs"]


def test_seconds_are_those_of_all_calls_together(models, candidate):
    bound = Bound(value=0.1, basis="a test")

    def judge(rung):
        return Decision(reason="enough for now", bound=bound)

    with pytest.raises(TrainingStopped, match="enough for now") as stop:
        models.exported(
            candidate(), get_backend("ort"), 1, trained=True, note=lambda entry: None, judge=judge
        )
    assert not models.trainings(candidate())[0].done
    entry = models.trainer.trained(candidate())
    assert models.trainings(candidate())[0].seconds == entry.made_seconds + entry.meta["earlier_seconds"]
    assert 0 < entry.meta["earlier_seconds"] <= stop.value.seconds  # written before the judge is asked


def test_work_is_known_for_what_was_counted_and_nothing_is_built_for_it(models, candidate):
    macs = models.networks.size(candidate())["macs"]
    for sparsity, epochs in (("dense", 4), ("2:4", 2), ("unstructured:0.5", 2)):
        work = models.trainings(candidate(sparsity=sparsity))[-1].work
        assert work == epochs * SAMPLES * macs
    teacher = models.trainings(candidate(width=None, sparsity="2:4"))[0]
    assert teacher.work == 2 * SAMPLES * models.teacher_facts()["macs"]
    pruned = candidate(sparsity="channel:0.5")
    assert models.trainings(pruned)[1].work is None
    fewer = models.size(pruned)["macs"].value
    assert fewer < macs
    assert models.trainings(pruned)[1].work == 2 * SAMPLES * fewer
    impossible = candidate(width=-1)
    with pytest.raises(UserError, match="negative dimension"):
        models.networks.build(impossible.student)
    assert models.trainings(impossible)[0].work is None


def test_the_macs_of_a_finished_training_need_no_counting(open_models, candidate):
    wanted = candidate(sparsity="channel:0.5")
    entry = open_models().trainer.trained(wanted)
    models = open_models()
    models.prepare(SPACE)
    assert models.trainings(wanted)[1].work == 2 * SAMPLES * entry.meta["macs"]


def test_candidates_that_are_trained_have_a_recipe(open_models, candidate):
    models = open_models()
    assert OnnxModels(models.loaded, models.store, Progress()).trainings(candidate()) == ()
    with pytest.raises(InternalError, match="has no recipe"):
        models.trainings(replace(candidate(), recipe=None))
