"""The ladder on a real runtime: a net that 4-bit weights hurt by points, and that is won back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from math import inf
from pathlib import Path

import pytest
from paretune.backends.measure.samples import LatencyPlan
from paretune.backends.runner.client import Guard
from paretune.backends.runner.launch import LocalLaunch
from paretune.backends.runner.leased import DeviceLease
from paretune.profiles.precision import Precision
from paretune.search.evaluation.evaluator import Evaluator
from paretune.search.ladder.bench import Climbs
from paretune.search.ladder.ladder import LadderSettings
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import EVALUATION, Evaluation, Limit, Outcome
from paretune.search.record.progress import Progress
from paretune.search.record.protocols import Standard, TrainEverything
from paretune.search.record.treatment import CALIBRATION, MIXED, QAT, UNTREATED
from paretune.search.space.space import BackendChoices, Space
from paretune.search.stages.chain import Chain
from paretune.search.stages.device.line import Line
from paretune.search.stages.device.runners import Deployment
from paretune.search.stages.device.stages import DeviceStages
from paretune.search.stages.models.load import load_models
from paretune.search.store.store import Store
from paretune.search.workload.loader import load_workload

pytestmark = pytest.mark.slow

# What the second layer reads differs in scale by channel, and its weights undo that: the function is that of
# an ordinary net, but a row of the second layer has steps far too coarse for its small weights. The scales
# are no weights of a layer, so that nothing can be moved into one.
SOURCE = """
import numpy as np
import torch
from paretune import Split, Splits, Workload
from torch import nn

UNEVEN = 30


def splits():
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.data / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(images))
    parts, start = {}, 0
    for name, count in (("train", 800), ("calibration", 200), ("validation", 500), ("test", 200)):
        rows = order[start : start + count]
        parts[name] = Split(inputs={"image": images[rows]}, labels=digits.target[rows].astype(np.int64))
        start += count
    return Splits(**parts)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(64, 32), nn.Linear(32, 32), nn.Linear(32, 10)
        self.register_buffer("scales", torch.ones(32))

    def forward(self, image):
        return self.third(torch.relu(self.second(torch.relu(self.first(image)) * self.scales)))


def train_teacher(model, splits):
    images, labels = torch.from_numpy(splits.train.inputs["image"]), torch.from_numpy(splits.train.labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(40):
        for rows in torch.randperm(len(labels)).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
            optimizer.step()
    scales = UNEVEN ** (torch.arange(32) / 31.0)
    with torch.no_grad():
        model.scales *= scales
        model.second.weight /= scales


workload = Workload(name="uneven", splits=splits, teacher=Net, train_teacher=train_teacher)
"""
INT4 = Candidate(backend="tflite", precision=Precision.INT4_WEIGHT)
SPACE = Space(
    backends=(
        BackendChoices(
            name="tflite", precisions=(INT4.precision,), calibration_methods=(), sparsities=("dense",)
        ),
    ),
    student_axes={},
    temperatures=(4.0,),
    weights=(0.7,),
    calibration_samples=(32,),
    per_channel=(True,),
    recipe=Recipe(epochs=6, learning_rate=5e-3),
)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workload's directory, in which its store lies too."""
    root = tmp_path_factory.mktemp("uneven")
    (root / "uneven.py").write_text(SOURCE)
    (root / "very_uneven.py").write_text(SOURCE.replace("UNEVEN = 30", "UNEVEN = 300"))
    return root


@pytest.fixture
def evaluator(job: Path) -> Iterator[Callable[..., Evaluator]]:
    """Evaluators on the same store, each as a session of its own would have it."""
    with ExitStack() as stack:

        def make(file: str = "uneven.py", left: float = inf, **settings: object) -> Evaluator:
            store = Store(job / "store")
            models = load_models(load_workload(file, job), store, Progress(), 1, fallback=SPACE.recipe)
            models.prepare(SPACE)
            device = DeviceStages(
                store=store,
                deployment=Deployment(batch=1, threads=1, device="here", instructions="these"),
                lease=DeviceLease(LocalLaunch()),
                line=Line(launch=LocalLaunch(), guard=Guard()),
                plan=LatencyPlan(rounds=5),
                announce=lambda stage: None,
            )
            stack.callback(device.close)
            chain = Chain(models, device)
            made = Evaluator(chain, Climbs(chain, LadderSettings(**settings), lambda: left))
            made.prepare_reference(Candidate(backend="tflite", precision=Precision.FP32))
            return made

        yield make


def evaluated(evaluator: Evaluator, *limits: Limit, **more: bool) -> Evaluation:
    judge = TrainEverything(Standard(limits=limits))
    found = evaluator.evaluate(INT4, judge, **more)
    assert found.outcome is Outcome.COMPLETE, found.cause
    return found


def test_training_wins_back_what_4_bits_lose_and_leads_to_the_same_artifact_again(evaluator):
    found = evaluated(evaluator(rungs=(QAT,)))
    rung = found.ladder[0]
    assert found.float_quality - rung.before > 0.01, "4 bits lose over a point"
    assert rung.after - rung.before >= 0.5 * (found.float_quality - rung.before)
    assert (rung.name, rung.kept, found.treatment.qat.weight_bits) == (QAT, True, 4)
    assert rung.simulated == pytest.approx(rung.after, abs=0.02)
    assert found.metrics["accuracy"].value == rung.after
    assert [stage.name for stage in found.stages].count("qat") == 1
    assert set(found.stored_as.values()) == {"int4"}
    assert found.zero_share > 0
    assert found.metrics["compressed_bytes"].value < found.metrics["size_bytes"].value

    again = evaluator()
    kept = EVALUATION.validate_json(EVALUATION.dump_json(found))
    assert again.chain.artifact(kept).key == found.artifact_key
    assert again.test_score(kept).value > 0.9


def test_the_layer_that_4_bits_hurt_is_put_back_to_float(evaluator):
    found = evaluated(evaluator(rungs=(MIXED,)))
    (rung,) = found.ladder
    assert rung.name == MIXED
    assert rung.after - rung.before > 0.03
    assert "second" in rung.detail
    # Where float16 is as small, the clock says whether the mixed artifact is of any use.
    assert rung.kept or "as fast and as small" in rung.detail
    assert found.stored_as["second"] == ("float32" if rung.kept else "int4")
    assert "int4" in found.stored_as.values()
    assert found.metrics["accuracy"].value == (rung.after if rung.kept else rung.before)


def test_what_does_not_climb(evaluator):
    made = evaluator()
    assert evaluated(made, baseline=True).ladder == (), "a simple choice is what anyone gets"
    met = Limit(text="accuracy >= 50 %", metric="accuracy", upper=False, bound=0.5)
    assert evaluated(made, met).ladder == (), "it has what the study asks for"
    missed = Limit(text="accuracy >= 99.9 %", metric="accuracy", upper=False, bound=0.999)
    assert evaluated(made, missed).ladder == (), "the float model itself has not"

    class Indifferent(TrainEverything):
        def worth_climbing(self, candidate, metrics, best_quality):
            return False

    assert evaluated(evaluator(left=0.0)).ladder == (), "the study's time is used up"
    beaten = made.evaluate(INT4, Indifferent())
    assert (beaten.ladder, beaten.treatment) == ((), UNTREATED)
    assert beaten.float_quality > beaten.metrics["accuracy"].value


def test_a_simple_choice_that_is_of_no_use_climbs_and_is_none_any_more(evaluator):
    made = evaluator(rungs=(QAT,))
    plain = evaluated(made, baseline=True)
    assert (plain.baseline, plain.ladder) == (True, ())
    bound = plain.float_quality - 0.005
    missed = Limit(text="accuracy >= so much", metric="accuracy", upper=False, bound=bound)
    mended = evaluated(made, missed, baseline=True)
    assert [rung.name for rung in mended.ladder] == [QAT]
    assert mended.metrics["accuracy"].value > plain.metrics["accuracy"].value
    assert not mended.baseline


def test_what_quantization_breaks_is_mended_or_fails_as_before(evaluator):
    broken = evaluator("very_uneven.py", rungs=()).evaluate(INT4, TrainEverything())
    assert broken.outcome is Outcome.FAILED
    assert broken.cause.startswith("artifact disagrees with the float model: SQNR")
    mended = evaluated(evaluator("very_uneven.py", rungs=(QAT,)))
    assert mended.ladder[0].kept
    assert mended.metrics["accuracy"].value == mended.ladder[0].after > mended.ladder[0].before
    unmended = evaluator("very_uneven.py", rungs=(CALIBRATION,)).evaluate(INT4, TrainEverything())
    assert (unmended.outcome, unmended.cause) == (Outcome.FAILED, broken.cause)
