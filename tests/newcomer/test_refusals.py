"""What cannot be is refused with its place before anything is trained."""

from __future__ import annotations

import pytest

WORK = """
def split(rng, count):
    return Split(inputs={"x": rng.normal(size=(count, 4)).astype(np.float32)}, labels=LABELS)


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Linear(4, 3)

    def forward(self, x):
        return self.body(x)


def train(model, splits):
    raise RuntimeError("must not be trained")


def mine(outputs, labels):
    return float(outputs.mean())


workload = Workload(name="odd", splits=SPLITS, teacher=TEACHER, student=STUDENT, train_teacher=train, EXTRA
                    metric=Metric(name="mine", function=mine))
"""
GOOD = {
    "LABELS": "rng.integers(0, 3, count)",
    "SPLITS": "splits",
    "TEACHER": "lambda: Net(8)",
    "STUDENT": "lambda width: Net(width)",
    "EXTRA": "",
}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"TEACHER": '"model.pt"'}, "`teacher` of the workload is no function"),
        ({"TEACHER": "object()"}, "`teacher` of the workload is no function"),
        ({"TEACHER": "Net(8)"}, "`teacher` of the workload is no function"),
        ({"STUDENT": "3"}, "`student` of the workload is no function"),
        ({"SPLITS": "splits()"}, "`splits` of the workload is no function"),
        ({"LABELS": "rng.normal(size=(count, 2)).astype(np.float32)"}, "students cannot be trained"),
        ({"LABELS": "rng.integers(0, 9, count)"}, "students cannot be trained"),
        ({"EXTRA": 'task="ranking",'}, "not a task"),
        ({"EXTRA": 'task="regression",'}, "students cannot be trained"),
        ({"EXTRA": 'task="unknown",'}, "students of an unknown task cannot be trained"),
        ({"EXTRA": 'task="embedding", loss="classification",'}, "the workload says two tasks"),
        ({"EXTRA": 'outputs="logits",'}, "the model has no output 'logits'"),
    ],
)
def test_before_the_teacher_is_trained(refused, change, problem):
    text = WORK
    for name, value in {**GOOD, **change}.items():
        text = text.replace(name, value)
    error = refused(text)
    assert error.problem.startswith(problem)
    assert error.place
    assert error.accepted or error.found
