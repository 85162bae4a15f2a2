from __future__ import annotations

from dataclasses import replace

import pytest
from paretune.profiles.errors import UnsupportedError
from paretune.search.stages.network.predict import predict


@pytest.fixture
def stages(open_stages):
    return open_stages()


def test_a_model_of_an_earlier_versions_recipe_is_not_made_as_another(stages, candidate):
    with pytest.raises(UnsupportedError, match="hidden states any more"):
        stages.trained(candidate(hidden_weight=0.1))
    with pytest.raises(UnsupportedError, match="distill-prune-quantize are not made any more"):
        stages.trained(candidate(sparsity="2:4", order="distill-prune-quantize"))


@pytest.mark.slow
def test_a_student_without_its_teacher_is_trained_on_labels_alone(stages, candidate, open_stages):
    wanted = candidate(temperature=2.0)
    seen = []
    alone = stages.without_teacher(wanted, note=seen.append)
    assert [entry.stage for entry in seen] == ["teacher", "distill"]  # no soft targets
    assert alone.meta["quality"]["validation"] > 0.8
    again = open_stages().without_teacher(candidate())
    assert again.cached
    assert again.key == alone.key  # a temperature that nothing is compared at changes no bit
    assert stages.trained(candidate()).key != alone.key
    outputs = predict(stages.load(alone, wanted), stages.loaded.splits.validation)
    assert outputs.shape == (150, 10)


@pytest.mark.slow
def test_a_sparse_student_without_its_teacher(stages, candidate):
    seen = []
    entry = stages.without_teacher(candidate(sparsity="2:4"), note=seen.append)
    assert [found.stage for found in seen] == ["teacher", "distill", "teacher", "prune"]
    assert entry.meta["zeros"]["body.weight"] == 0.5
    assert stages.counters == {"teacher_trainings": 1, "trainings": 1, "finetunings": 1}


def test_what_is_not_trained_gains_nothing(stages, candidate):
    with pytest.raises(UnsupportedError, match="is not trained, so nothing is gained"):
        stages.without_teacher(candidate(width=None))


def test_the_gain_is_not_known_where_the_users_loss_decides(stages, candidate):
    workload = replace(stages.loaded.workload, loss=lambda outputs, labels, teacher: outputs.sum())
    stages.loaded = replace(stages.loaded, workload=workload)
    with pytest.raises(UnsupportedError, match="the workload's own loss decides what the teacher is asked"):
        stages.without_teacher(candidate())


def test_students_that_read_no_teacher_share_one_training(stages, candidate):
    alone = {"distill_weight": 0.0}
    assert stages.trained_key(candidate(**alone)) == stages.trained_key(candidate(temperature=9.0, **alone))
    assert stages.trained_key(candidate(**alone)) != stages.trained_key(candidate())


def test_the_key_of_a_derived_student_depends_on_the_teacher(stages, candidate, open_stages, source):
    loaded = stages.loaded
    derived = replace(candidate(), student=(("macs", 0.5),))
    built = replace(candidate(distill_weight=0.0))

    def keys(lr: str):
        text = loaded.source_digest + lr  # another teacher: another source
        other = open_stages()
        other.loaded = replace(loaded, workload=replace(loaded.workload, student=None), source_digest=text)
        alone = replace(derived, recipe=replace(derived.recipe, distill_weight=0.0))
        tools = open_stages(tools={"torch": "0", "torch-pruning": lr})
        tools.loaded = replace(loaded, workload=replace(loaded.workload, student=None))
        return [other.trained_key(derived), other.trained_key(alone), tools.trained_key(alone)]

    assert len({*keys("1"), *keys("2"), stages.trained_key(built)}) == 7
