from __future__ import annotations

from dataclasses import replace

import pytest
from paretune.profiles.errors import UnsupportedError
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import ORDERS
from paretune.search.stages.models.networks import WEIGHTS
from paretune.search.stages.network.predict import predict
from paretune.search.stages.training.masks import check_masks, magnitude_masks

DEFAULT, PRUNED_LAST, QUANTIZED_FIRST = ORDERS


def at_int8(candidate, **options):
    """The third order has a meaning only for precisions that can be trained for."""
    return replace(candidate(**options), precision=Precision.INT8)


@pytest.fixture
def models(open_models):
    return open_models()


def test_dense_models_are_the_same_in_every_order(models, candidate):
    keys = {models.needed.key(at_int8(candidate, order=order)) for order in ORDERS}
    assert len(keys) == 1
    assert len({candidate(order=order).digest for order in ORDERS[:2]}) == 1


@pytest.mark.parametrize("sparsity", ["channel:0.5", "2:4", "unstructured:0.5"])
def test_keys_differ_where_bits_do(models, candidate, sparsity):
    def key(**options):
        return models.needed.key(at_int8(candidate, sparsity=sparsity, **options))

    assert key(order=PRUNED_LAST) == key(order=QUANTIZED_FIRST) == key(finetune_epochs=0)
    assert key(order=PRUNED_LAST) == key(order=PRUNED_LAST, finetune_epochs=9)
    assert key(order=DEFAULT) != key(order=PRUNED_LAST)
    assert key(order=PRUNED_LAST, epochs=9) != key(order=PRUNED_LAST)


@pytest.mark.slow
def test_what_is_not_fine_tuned_takes_no_epochs(models, candidate):
    models.prepare_students([(("width", 16),)])
    works = {}
    for order in ORDERS:
        found = models.trainings(at_int8(candidate, sparsity="2:4", order=order))
        assert [training.kind for training in found] == ["distill", "prune"]
        works[order] = found[-1].work
    assert works[DEFAULT] > 0
    assert works[PRUNED_LAST] == works[QUANTIZED_FIRST] == 0


@pytest.mark.slow
@pytest.mark.parametrize("sparsity", ["channel:0.5", "2:4", "unstructured:0.5"])
def test_pruned_after_all_distillation(models, candidate, sparsity, made):
    last = candidate(sparsity=sparsity, order=PRUNED_LAST)
    entry = models.trainer.trained(last)
    assert entry.meta["losses"] == []
    assert entry.meta["curve"] == [[0, entry.meta["quality"]["validation"]]]
    model = models.trainer.load(entry, last)
    for zeros in entry.meta["zeros"].values():
        assert zeros == pytest.approx(0.5, abs=0.01)
    if sparsity == "2:4":
        check_masks(model, magnitude_masks(model, stages_sparsity(sparsity)))
    untuned = replace(last, recipe=replace(last.recipe, order=DEFAULT, finetune_epochs=0))
    assert models.trainer.trained(untuned).key == entry.key
    assert made(models) == {"teacher": 1, "distill": 1, "prune": 1}
    tuned = models.trainer.trained(candidate(sparsity=sparsity))
    assert (tuned.path / WEIGHTS).read_bytes() != (entry.path / WEIGHTS).read_bytes()


def stages_sparsity(text):
    from paretune.search.record.candidate import Sparsity

    return Sparsity.parse(text)


@pytest.mark.slow
def test_a_student_without_its_teacher_is_trained_on_labels_alone(models, candidate, open_models):
    wanted = candidate(hidden_weight=0.5, temperature=2.0)
    seen = []
    alone = models.trainer.without_teacher(wanted, note=seen.append)
    assert [entry.stage for entry in seen] == ["teacher", "distill"]  # no soft targets, no hidden states
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
    kinder = candidate(temperature=9.0, hidden_weight=0.1, **alone)
    assert models.needed.key(kinder) == models.needed.key(candidate(hidden_weight=0.1, **alone))
    assert models.needed.key(kinder) != models.needed.key(candidate(**alone))


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
