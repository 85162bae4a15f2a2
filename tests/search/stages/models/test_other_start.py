"""Trainings that stand still: said at once, and started anew from untrained weights where those move."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from paretune.search.record.stops import Interrupted
from paretune.search.stages.models.standstill import at_chance, came_to_nothing
from paretune.search.stages.network.reproducible import state_digest
from paretune.search.stages.training.loop import Control
from paretune.search.workload.metric import Metric
from paretune.search.workload.workload import ACCURACY

STUDENT = (("macs", 0.3),)
# Of 32 channels 24 are dead and have the largest weights: those that a cut by magnitude keeps.
DEAD = """
    with torch.no_grad():
        model.stem.weight[:24] = 5.0
        model.stem.bias[:24] = -1e6
"""
NET = """
class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, stride=2, padding=1)
        self.head = nn.Linear(width * 16, 10)

    def forward(self, image):
        return self.head(torch.relu(self.stem(image)).flatten(1))


def teacher():"""


@pytest.fixture
def dead_teacher(source, empty_store):
    text = source.read_text().replace("student=lambda width: Net(width)", "student=None")
    text = text.replace("def teacher():", NET).replace("    model.train()\n", DEAD + "    model.train()\n")
    source.write_text(text)


@pytest.mark.slow
def test_a_student_whose_weights_stand_still_starts_anew_to_the_same_bits(
    dead_teacher, open_models, candidate, empty_store
):
    notes: list[str] = []
    wanted = replace(candidate(epochs=6), student=STUDENT)
    models = open_models(control=Control(note=notes.append))
    entry = models.trainer.trained(wanted)
    assert entry.meta["quality"]["validation"] > 0.4
    assert any("untrained weights" in note for note in entry.meta["notes"])
    assert len(notes) == 1
    digest = state_digest(models.trainer.load(entry, wanted))
    shutil.rmtree(entry.path)
    for _ in range(3):  # ended after every second epoch, in each phase of it
        asked = iter([False, True, *[False] * 20])
        stopping = open_models(control=Control(should_stop=lambda asked=asked: next(asked)))
        with pytest.raises(Interrupted):
            stopping.trainer.trained(wanted)
    resumed = open_models()
    again = resumed.trainer.trained(wanted)
    assert state_digest(resumed.trainer.load(again, wanted)) == digest


@pytest.mark.slow
def test_where_neither_start_moves_that_is_said(dead_teacher, open_models, candidate, empty_store):
    notes: list[str] = []
    wanted = replace(candidate(epochs=4, learning_rate=1e-12), student=STUDENT)
    entry = open_models(control=Control(note=notes.append)).trainer.trained(wanted)
    assert len(notes) >= 2
    assert any(remark in note for note in notes for remark in entry.meta["remarks"])


RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 4, 200)
RMSE = Metric(
    name="rmse", function=lambda a, b: float(np.sqrt(np.mean((a - b) ** 2))), higher_is_better=False
)


def test_chance_is_what_the_same_outputs_reach_in_another_order():
    noise = RNG.standard_normal((200, 4))
    assert at_chance(noise, LABELS, ACCURACY)
    assert not at_chance(noise + 2 * np.eye(4)[LABELS], LABELS, ACCURACY)
    numbers = RNG.standard_normal(200)
    assert at_chance(np.full(200, numbers.mean()), numbers, RMSE)
    assert not at_chance(numbers + RNG.standard_normal(200), numbers, RMSE)
    assert not at_chance(noise[:10], LABELS[:10], ACCURACY)


def test_one_class_for_all_is_nothing_and_one_largest_number_of_an_embedding_is_none_of_it():
    outputs = RNG.standard_normal((200, 4)) + np.array([9, 0, 0, 0])
    labels = np.where(RNG.random(200) < 0.9, 0, 1)
    assert came_to_nothing(outputs, outputs, labels, ACCURACY, 3, class_axis=-1)
    close = Metric(name="close", function=lambda a, b: -float(np.mean((a - b) ** 2)))
    assert not came_to_nothing(outputs, outputs, outputs + 0.1, close, 3, class_axis=None)
    assert not came_to_nothing(outputs, outputs, labels, ACCURACY, 0, class_axis=-1)
