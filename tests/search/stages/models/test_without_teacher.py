from __future__ import annotations

from dataclasses import replace

import pytest
from paretune.profiles.errors import UnsupportedError
from paretune.search.stages.network.predict import predict


@pytest.fixture
def models(open_models):
    return open_models()


def test_a_model_of_an_earlier_versions_recipe_is_not_made_as_another(models, candidate):
    with pytest.raises(UnsupportedError, match="hidden states any more"):
        models.trainer.trained(candidate(hidden_weight=0.1))
    with pytest.raises(UnsupportedError, match="distill-prune-quantize are not made any more"):
        models.trainer.trained(candidate(sparsity="2:4", order="distill-prune-quantize"))


@pytest.mark.slow
def test_a_student_without_its_teacher_is_trained_on_labels_alone(models, candidate, open_models):
    wanted = candidate(temperature=2.0)
    seen = []
    alone = models.trainer.without_teacher(wanted, note=seen.append)
    assert [entry.stage for entry in seen] == ["teacher", "distill"]  # no soft targets
    assert alone.meta["quality"]["validation"] > 0.8
    again = open_models().trainer.without_teacher(candidate())
    assert again.cached
    assert again.key == alone.key  # a temperature that nothing is compared at changes no bit
    assert models.trainer.trained(candidate()).key != alone.key
    outputs = predict(models.trainer.load(alone, wanted), models.loaded.splits.validation)
    assert outputs.shape == (150, 10)


@pytest.mark.slow
def test_a_sparse_student_without_its_teacher(models, candidate, made):
    seen = []
    entry = models.trainer.without_teacher(candidate(sparsity="2:4"), note=seen.append)
    assert [found.stage for found in seen] == ["teacher", "distill", "teacher", "prune"]
    assert entry.meta["zeros"]["body.weight"] == 0.5
    assert made(models) == {"teacher": 1, "distill": 1, "prune": 1}


def test_what_is_not_trained_gains_nothing(models, candidate):
    with pytest.raises(UnsupportedError, match="is not trained, so nothing is gained"):
        models.trainer.without_teacher(candidate(width=None))


def test_the_gain_is_not_known_where_the_users_loss_decides(open_models, candidate):
    models = open_models(loss=lambda outputs, labels, teacher: outputs.sum())
    with pytest.raises(UnsupportedError, match="the workload's own loss decides what the teacher is asked"):
        models.trainer.without_teacher(candidate())


def test_students_that_read_no_teacher_share_one_training(models, candidate):
    alone = {"distill_weight": 0.0}
    assert models.needed.key(candidate(**alone)) == models.needed.key(candidate(temperature=9.0, **alone))
    assert models.needed.key(candidate(**alone)) != models.needed.key(candidate())


def test_the_key_of_a_derived_student_depends_on_the_teacher(models, candidate, open_models, source):
    derived = replace(candidate(), student=(("macs", 0.5),))
    alone = replace(derived, recipe=replace(derived.recipe, distill_weight=0.0))
    found = [models.needed.key(candidate(distill_weight=0.0))]
    for text in ("1", "2"):
        tools = open_models(student=None, tools={"torch": "0", "torch-pruning": text})
        found.append(tools.needed.key(alone))
        source.write_text(f"{source.read_text()}# {text}\n")  # another teacher
        other = open_models(student=None)
        found += [other.needed.key(derived), other.needed.key(alone)]
    assert len(set(found)) == 7
