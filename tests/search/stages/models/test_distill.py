from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from paretune.profiles.errors import InternalError, StageError, UserError
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Recipe
from paretune.search.record.stops import Interrupted
from paretune.search.record.treatment import QatPlan
from paretune.search.stages.models import keys
from paretune.search.stages.models.networks import WEIGHTS
from paretune.search.stages.models.teacher import OUTPUTS
from paretune.search.stages.network.predict import predict
from paretune.search.stages.network.reproducible import reproducible, state_digest
from paretune.search.stages.training.loop import Control
from paretune.search.stages.training.losses import training_loss
from paretune.search.store.store import Entry
from paretune.search.workload.workload import Split

LESSON = keys.Lesson(targets="t")


def weights(entry) -> bytes:
    return (entry.path / WEIGHTS).read_bytes()


def test_keys_are_pinned():
    """Changing these makes every store train anew: raise the stage's version when that is meant."""
    data = {"train": "a" * 64, "validation": "b" * 64}
    tools = {"torch": "0.0"}
    recipe = Recipe(epochs=10, finetune_epochs=5)
    teacher = keys.teacher_key("s" * 64, data, "i" * 64, tools)
    targets = keys.soft_targets_key(teacher, data["train"])
    lesson = keys.Lesson(targets=targets)
    student = keys.distill_key((("width", 0.5), ("depth", 2)), recipe, "s" * 64, lesson, data, tools)
    pruned = keys.prune_key(student, "channel:0.5", recipe, lesson, tools)
    structure = keys.structure_key((("width", 0.5),), "2:4", "s" * 64, "", tools)
    assert [key[:16] for key in (teacher, targets, student, pruned, structure)] == [
        "96e72017c631bc95",
        "7cfd1b1525f37764",
        "8598892180a3ca9a",
        "96cee58c32385a4d",
        "75a5c8e1ce3f8d9c",
    ]


def test_the_recipe_counts_where_it_matters():
    data = {"train": "a", "validation": "b"}

    def dense(**changes):
        return keys.distill_key((), replace(Recipe(epochs=10), **changes), "s", LESSON, data, {})

    def sparse(**changes):
        recipe = replace(Recipe(epochs=10, finetune_epochs=5), **changes)
        return keys.prune_key("b", "2:4", recipe, LESSON, {})

    changes = [
        {"temperature": 1.0},
        {"distill_weight": 0.1},
        {"learning_rate": 1.0},
        {"batch": 1},
        {"seed": 1},
        {"patience": 3},
    ]
    assert len({dense(), *(dense(**change) for change in [*changes, {"epochs": 9}])}) == 8
    assert len({sparse(), *(sparse(**change) for change in [*changes, {"finetune_epochs": 9}])}) == 8
    assert dense(finetune_epochs=9) == dense()
    assert dense(temperature=4) == dense(temperature=4.0)
    assert sparse(epochs=9) == sparse()  # those are in the key of the dense model


def test_the_teacher_is_trained_once_and_reloaded(empty_store, open_models):
    lines: list[str] = []
    first = open_models(control=Control(progress=lines.append))
    first.prepare_students(students=[(("width", 8),)], recipe=Recipe(epochs=1))
    entry = first.teacher.entry()
    assert entry.meta["quality"]["validation"] > 0.9
    assert entry.meta["output_shape"] == [10]
    assert entry.meta["parameters"] == 14_762
    assert lines == ["teacher: training"]
    second = open_models()
    assert second.teacher.entry().cached
    split = second.loaded.splits.validation
    reloaded, original = second.teacher.model(), first.teacher.model()
    np.testing.assert_array_equal(predict(reloaded, split), predict(original, split))
    assert second.networks.quality(reloaded, split) == entry.meta["quality"]["validation"]
    logits = np.load(second.teacher.soft_targets().path / OUTPUTS)
    np.testing.assert_allclose(logits, predict(reloaded, second.loaded.splits.train), rtol=1e-6)


class Sealed(Split):
    """A split that cannot be read."""

    def __getattribute__(self, name: str):
        raise AssertionError(f"{name} of the test split was looked at")


def test_the_test_split_is_not_looked_at(empty_store, open_models, candidate):
    models, wanted = open_models(), candidate(sparsity="2:4")
    assert set(models.loaded.data_digests) == {"train", "calibration", "validation", "test"}  # names the data
    object.__setattr__(models.loaded.splits, "test", object.__new__(Sealed))
    with pytest.raises(AssertionError, match="labels of the test split was looked at"):
        _ = models.loaded.splits.test.labels
    models.prepare_students([wanted.student], wanted.recipe)
    qat = QatPlan(weight_bits=8, activation_bits=8, epochs=1)
    entries: dict[str, Entry] = {}
    models.trainer.trained(wanted, note=lambda entry: entries.setdefault(entry.stage, entry), qat=qat)
    models.trainer.load(models.trainer.without_teacher(candidate()), candidate())
    assert set(entries["teacher"].meta["quality"]) == {"train", "validation"}
    for stage in ("distill", "prune", "qat"):
        assert set(entries[stage].meta["quality"]) == {"validation"}


def test_no_student_is_trained_twice_in_one_study_or_across_two(open_models, candidate, made):
    models = open_models()
    dense, other = candidate(epochs=1), candidate(width=8, epochs=1)
    entries = [
        models.trainer.trained(replace(wanted, precision=precision, backend=backend))
        for backend in ("ort", "tflite", "trt")
        for precision in (Precision.FP32, Precision.INT8, Precision.FP16)
        for wanted in (dense, other)
    ]
    assert len({entry.key for entry in entries}) == 2
    assert made(models) == {"teacher": 1, "distill": 2}
    again = open_models()
    assert again.trainer.trained(dense).cached
    assert again.trainer.trained(candidate(sparsity="2:4", epochs=1)).made_seconds > 0
    assert made(again) == {"teacher": 1, "distill": 2, "prune": 1}  # the dense one is of the first study
    assert again.trainer.trained(candidate(seed=1, epochs=1)).key != entries[0].key
    assert made(again)["distill"] == 3


def test_a_student_learns_and_is_reloaded_exactly(open_models, candidate):
    models = open_models()
    seen = []
    entry = models.trainer.trained(candidate(), note=seen.append)
    assert [noted.stage for noted in seen] == ["teacher", "soft-targets", "distill"]
    assert entry.meta["quality"]["validation"] > 0.85
    assert len(entry.meta["losses"]) == 4
    assert entry.provenance["by"]["pid"] == os.getpid()
    model = models.trainer.load(entry, candidate())
    assert not model.training
    assert (
        models.networks.quality(model, models.loaded.splits.validation) == entry.meta["quality"]["validation"]
    )
    assert models.networks.size(candidate()) == {k: entry.meta[k] for k in ("parameters", "macs")}
    assert models.trains(candidate())
    assert not models.trains(candidate(width=None))
    assert models.trainer.trained(candidate(width=None)).stage == "teacher"


def test_training_is_deterministic_and_leaves_the_generators_alone(open_models, candidate, tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = open_models()
    first = weights(one.trainer.trained(candidate()))
    assert torch.equal(torch.get_rng_state(), before)
    (tmp_path / "store").rename(tmp_path / "old store")
    torch.manual_seed(6)
    assert weights(open_models().trainer.trained(candidate())) == first


@pytest.mark.slow
@pytest.mark.parametrize(
    ("killed_in", "sparsity", "left"),
    [
        ("distill: epoch 3", "dense", ["distill: epoch 3 of 4", "distill: epoch 4 of 4"]),
        ("finetune: epoch 2", "2:4", ["finetune: epoch 2 of 2"]),
        ("finetune: epoch 2", "channel:0.5", ["finetune: epoch 2 of 2"]),
    ],
)
def test_a_kill_costs_one_epoch_and_changes_no_bit(
    open_models, candidate, killed, tmp_path, killed_in, sparsity, left
):
    killed(candidate(sparsity=sparsity), killed_in)
    lines: list[str] = []
    resumed = open_models(control=Control(progress=lines.append)).trainer.trained(
        candidate(sparsity=sparsity)
    )
    assert [line.partition(",")[0] for line in lines] == left
    (tmp_path / "store").rename(tmp_path / "old store")
    uninterrupted = open_models().trainer.trained(candidate(sparsity=sparsity))
    old = tmp_path / "old store" / resumed.stage / resumed.key / WEIGHTS
    assert old.read_bytes() == weights(uninterrupted)
    for learned in ("losses", "curve", "quality"):
        assert resumed.meta[learned] == uninterrupted.meta[learned]
    assert resumed.meta["curve"][-1] == [len(resumed.meta["losses"]), resumed.meta["quality"]["validation"]]
    assert resumed.meta["earlier_seconds"] > uninterrupted.meta["earlier_seconds"] == 0


def test_a_stop_between_epochs_is_taken_up_later(open_models, candidate):
    asked = iter([False, True])
    with pytest.raises(Interrupted, match="distill stopped after epoch 2 of 4"):
        open_models(control=Control(should_stop=lambda: next(asked))).trainer.trained(candidate())
    lines: list[str] = []
    open_models(control=Control(progress=lines.append)).trainer.trained(candidate())
    assert [line.partition(",")[0] for line in lines] == ["distill: epoch 3 of 4", "distill: epoch 4 of 4"]


def test_a_stop_in_the_last_epoch_lets_it_finish(open_models, candidate):
    models = open_models(control=Control(should_stop=lambda: True))
    assert models.trainer.trained(candidate(epochs=1)).meta["losses"]


def test_a_checkpoint_that_cannot_be_read_costs_only_its_epochs(open_models, candidate, caplog):
    models = open_models()
    key = models.needed.key(candidate())
    (models.store.workdir("distill", key) / "checkpoint.pt").write_bytes(b"half a checkpoint")
    assert len(models.trainer.trained(candidate()).meta["losses"]) == 4
    assert "cannot be read" in caplog.text


@pytest.mark.slow
def test_two_processes_train_one_student_once(empty_store, trained_elsewhere, open_models, candidate):
    both = [trained_elsewhere(candidate()) for _ in range(2)]
    lines = [line for one in both for line in one.ended()[0]]
    assert sorted(line.partition(",")[0] for line in lines) == [
        *(f"distill: epoch {epoch} of 4" for epoch in range(1, 5)),
        "teacher: training",
    ]
    assert open_models().trainer.trained(candidate()).cached


def test_a_loss_that_is_not_finite_names_epoch_and_rate(open_models, candidate):
    with pytest.raises(StageError, match=r"distill: the loss is nan in epoch 1 of 4 at learning rate 1e\+30"):
        open_models().trainer.trained(candidate(learning_rate=1e30))


def test_a_changed_file_or_data_is_another_teacher(open_models, source):
    first = open_models().teacher.key
    assert open_models().teacher.key == first
    text = source.read_text()
    source.write_text(text.replace("default_rng(0)", "default_rng(1)"))
    assert open_models().teacher.key != first
    source.write_text(text)
    assert open_models().teacher.key == first
    assert open_models(tools={"torch": "0.1"}).teacher.key != first


def broken(old: str, new: str, message: str, students=()):
    return pytest.param(old, new, message, students, id=message[:40])


@pytest.mark.parametrize(
    ("old", "new", "message", "students"),
    [
        broken("lr=3e-3", "lr=1e30", r"weights are not finite.*lower the learning rate", ()),
        broken("train.labels)", "train.labels[::-1].copy())", r"no better than chance: accuracy 0\.\d+ "),
        broken("labels[rows])", "labels[rows], 1)", r"tiny_digits\.py, line 50: `train_teacher` of .*raised"),
        broken("Net(32)\n", "7\n", r"`teacher` of .* did not return a torch module.*found: int"),
        broken("width * 16, 10", "width * 4, 10", r"forward of teacher on train\[:8\] raised R"),
        broken("width * 16, 10", "width * 16, 9", r"teacher, forward.*one score per class.*labels up to 9"),
        broken("lambda width: Net(width)", "lambda width: nn.Flatten()", r"student width=8, forward.*not the",
               [(("width", 8),)]),
        broken("lambda width: Net(width)", "lambda size: Net(size)", r"`student`.*do not fit.*\(size\)",
               [(("width", 8),)]),
        broken(", student=lambda width: Net(width)", "", r"without a `student` builder.*no axis 'width'",
               [(("width", 8),)]),
    ],
)  # fmt: skip
def test_errors_in_a_workload_are_found_before_any_budget_is_spent(
    empty_store, open_models, source, old, new, message, students
):
    text = source.read_text()
    assert old in text
    source.write_text(text.replace(old, new))
    models = open_models()
    with pytest.raises(UserError, match=f"(?s){message}"):
        models.prepare_students(students=students)
    assert not list(models.store.root.glob("teacher/*"))


WIDE = """
class Wide(Net):
    def forward(self, image):
        return super().forward(image).repeat(1, 2)
"""


def test_a_student_that_diverges_at_once_or_differs_in_its_output_is_refused(open_models, source):
    wide = [(("width", 8),)]
    with pytest.raises(UserError, match=r"width=8, train\[:192\]: the first training steps failed: .*is nan"):
        open_models().prepare_students(students=wide, recipe=Recipe(epochs=1, learning_rate=1e30))
    text = source.read_text()
    source.write_text(text.replace("lambda width: Net(width)", "lambda width: Wide(width)") + WIDE)
    with pytest.raises(UserError, match=r"(?s)student width=8: .*differs in shape.*\[20\].*\[10\]"):
        open_models().prepare_students(students=wide)


def test_a_teacher_that_comes_trained_is_named_by_its_weights(open_models, source, tmp_path):
    lines: list[str] = []
    file = tmp_path / "weights.pt"
    torch.save(open_models().teacher.model().state_dict(), file)
    text = source.read_text().replace("train_teacher=train_teacher, ", "")
    load = f"    net = Net(32)\n    net.load_state_dict(torch.load({str(file)!r}))\n    return net\n"
    source.write_text(text.replace("    return Net(32)\n", load))
    models = open_models(control=Control(progress=lines.append))
    assert models.teacher.entry().meta["quality"]["validation"] > 0.9
    assert lines == []
    with torch.no_grad():
        state = torch.load(file)
        state["head.bias"] += 0.1
    torch.save(state, file)
    assert open_models().teacher.key != models.teacher.key


def test_weights_of_another_structure_are_not_taken(open_models, candidate):
    models = open_models()
    with pytest.raises(InternalError, match="do not fit"):
        models.trainer.load(models.teacher.entry(), candidate(width=8))
    with pytest.raises(InternalError, match="has no recipe"):
        models.needed.key(replace(candidate(), recipe=None))


def test_the_loss_is_that_of_the_paper():
    mixed = {"temperature": 3.0, "distill_weight": 0.25}
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(2, 5, 4))
    labels = np.array([0, 1, 2, 3, 0])

    def softmax(values):
        return np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)

    p, q = softmax(teacher / 3), softmax(student / 3)
    soft = (p * np.log(p / q)).sum(axis=1).mean()
    hard = -np.log(softmax(student)[np.arange(5), labels]).mean()
    arrays = (torch.from_numpy(array) for array in (student, labels, teacher))
    got = training_loss("classification", *arrays, **mixed)
    assert got.item() == pytest.approx(0.25 * 9 * soft + 0.75 * hard)
    numbers = torch.from_numpy(student), torch.from_numpy(student + 1), torch.from_numpy(student + 2)
    assert training_loss("regression", *numbers, **mixed).item() == pytest.approx(0.25 * 4 + 0.75 * 1)


def test_reproducible_puts_everything_back():
    threads = torch.get_num_threads()
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    with reproducible(7, threads=1):
        drawn = torch.rand(3), np.random.rand(3)
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    with reproducible(7):
        assert torch.equal(torch.rand(3), drawn[0])
        np.testing.assert_array_equal(np.random.rand(3), drawn[1])


def test_reproducible_blocks_may_be_nested():
    with reproducible(7):
        before = torch.rand(1)
        with reproducible(8):
            torch.rand(5)
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        after = torch.rand(1)
    with reproducible(7):
        assert torch.equal(torch.rand(1), before)
        assert torch.equal(torch.rand(1), after)


def test_state_digests_cover_names_and_values():
    one, two = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    assert state_digest(one) != state_digest(two)
    two.load_state_dict(one.state_dict())
    assert state_digest(one) == state_digest(two)
    assert state_digest(torch.nn.Sequential(one)) != state_digest(one)
