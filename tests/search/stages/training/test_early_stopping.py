from __future__ import annotations

import math

import pytest
import torch
from paretune.profiles.errors import InternalError, StageError
from paretune.search.record.evaluation import Bound
from paretune.search.record.protocols import Decision
from paretune.search.record.stops import Interrupted, TrainingStopped
from paretune.search.stages.models.networks import WEIGHTS
from paretune.search.stages.network.reproducible import reproducible, state_digest
from paretune.search.stages.training.early_stopping import BestWeights
from paretune.search.stages.training.loop import Control, Data, TrainingPlan, Watch, train
from torch import nn


class Follows:
    """A model's quality as a list says, epoch by epoch; remembers the weights that it was shown."""

    def __init__(self, qualities: list[float], at: int = 0) -> None:
        self.qualities, self.at, self.shown = qualities, at, []

    def __call__(self, model: nn.Module) -> float:
        self.shown.append(state_digest(model))
        self.at += 1
        return self.qualities[self.at - 1]


def run(quality, *, epochs=8, patience=2, path=None, higher=True, control=None, judge=None, watched=True):
    plan = TrainingPlan(
        stage="test",
        epochs=epochs,
        learning_rate=0.05,
        batch=8,
        temperature=1.0,
        distill_weight=0.0,
        seed=3,
        patience=patience,
    )
    torch.manual_seed(0)
    inputs, labels = torch.randn(32, 4), torch.arange(32) % 3
    data = Data(inputs=[inputs], labels=labels, soft_targets=None, loss="classification")
    watch = Watch(key="k", kind="distill", quality=quality, higher_is_better=higher)
    if judge:
        watch = Watch(key="k", kind="distill", quality=quality, judge=judge)
    with reproducible(plan.seed, 1):
        model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.2), nn.Linear(6, 3))
        history = train(model, data, plan, path, control or Control(), watch=watch if watched else None)
    return model, history


@pytest.mark.parametrize(
    ("qualities", "ran", "best"),
    [
        ([0.5, 0.6, 0.55, 0.55, 0.9], 4, 2),
        ([0.5, 0.6, 0.6, 0.6, 0.9], 4, 4),  # of equal ones the last is kept, but they end the training
        ([0.5, 0.4, 0.6, 0.5, 0.7, 0.1, 0.8, 0.2], 8, 7),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], 8, 8),
        ([float("nan"), 0.2, 0.1, 0.1, 0.9], 4, 2),
        ([float("nan")] * 8, 3, 1),
    ],
)
def test_training_ends_when_it_gets_no_better_and_the_best_weights_stay(qualities, ran, best):
    quality = Follows(qualities)
    model, history = run(quality)
    assert history.epochs == ran
    assert history.best_epoch == best
    assert state_digest(model) == quality.shown[best - 1]
    assert len(quality.shown) == ran  # the last one is not taken twice
    assert history.curve[-1][0] == ran
    assert not model.training


def test_lower_may_be_better():
    _, history = run(Follows([0.5, 0.3, 0.4, 0.4]), higher=False)
    assert (history.epochs, history.best_epoch, history.curve[-1]) == (4, 2, (4, 0.3))


def test_the_curve_has_its_rungs_as_without_patience():
    _, history = run(Follows([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.6]))
    assert history.curve == [(2, 0.2), (4, 0.4), (6, 0.6), (8, 0.7)]


def test_patience_changes_no_step():
    long, whole = run(Follows([0.1 * at for at in range(8)]), patience=9)
    plain, other = run(Follows([0.0] * 8), patience=0)
    assert state_digest(long) == state_digest(plain)
    assert whole.losses == other.losses
    assert (other.best_epoch, whole.best_epoch) == (None, 8)


def test_a_stop_in_between_ends_at_the_same_bits(tmp_path):
    qualities = [0.5, 0.6, 0.55, 0.57, 0.9]
    expected, whole = run(Follows(qualities))
    path = tmp_path / "checkpoint.pt"
    for done in range(3):
        with pytest.raises(Interrupted, match=f"after epoch {done + 1} of 8"):
            run(Follows(qualities, at=done), path=path, control=Control(should_stop=lambda: True))
    model, resumed = run(Follows(qualities, at=3), path=path)
    assert state_digest(model) == state_digest(expected)
    assert (resumed.losses, resumed.curve, resumed.best_epoch) == (whole.losses, whole.curve, 2)


def test_the_judge_is_asked_at_the_rungs_and_goes_on_to_the_same_bits(tmp_path):
    qualities = [0.5, 0.6, 0.55, 0.65, 0.6, 0.6]
    expected, _ = run(Follows(qualities))
    asked = []

    def judge(rung):
        asked.append(rung.curve)
        stop = len(rung.curve) == 2 and len(asked) == 2
        return Decision(reason="beaten", bound=Bound(value=0.5, basis="b")) if stop else None

    path = tmp_path / "checkpoint.pt"
    with pytest.raises(TrainingStopped, match="beaten"):
        run(Follows(qualities), path=path, judge=judge)
    model, history = run(Follows(qualities, at=4), path=path, judge=judge)
    assert asked == [((2, 0.6),), ((2, 0.6), (4, 0.65)), ((2, 0.6), (4, 0.65))]
    assert state_digest(model) == state_digest(expected)
    assert (history.epochs, history.best_epoch) == (6, 4)


def test_patience_needs_someone_who_watches():
    with pytest.raises(InternalError, match="test has a patience, but nothing measures its quality"):
        run(Follows([]), watched=False)


def test_best_weights_survive_as_plain_data(tmp_path):
    best, layer = BestWeights(patience=2), nn.Linear(2, 2)
    best.see(1, 0.5, layer)
    torch.save(best.state_dict(), tmp_path / "best.pt")
    other = BestWeights(patience=2)
    other.load_state_dict(torch.load(tmp_path / "best.pt", weights_only=True))
    assert (other.epoch, other.quality, other.improved) == (1, 0.5, 1)
    assert torch.equal(other.weights["weight"], layer.weight)
    with torch.no_grad():
        layer.weight += 1
    assert not torch.equal(best.weights["weight"], layer.weight)


@pytest.mark.slow
def test_a_kill_changes_no_bit_of_patience(open_models, candidate, killed, tmp_path):
    wanted = candidate(epochs=6, patience=1)
    killed(wanted, "distill: epoch 3")
    lines: list[str] = []
    resumed = open_models(control=Control(progress=lines.append)).trainer.trained(wanted)
    assert lines[0].startswith("distill: epoch 3 of 6")
    (tmp_path / "store").rename(tmp_path / "old store")
    whole = open_models().trainer.trained(wanted)
    old = tmp_path / "old store" / "distill" / resumed.key / WEIGHTS
    assert old.read_bytes() == (whole.path / WEIGHTS).read_bytes()
    for learned in ("losses", "curve", "quality", "best_epoch"):
        assert resumed.meta[learned] == whole.meta[learned]


@pytest.mark.slow
def test_the_quality_kept_is_that_of_the_best_epoch(open_models, candidate):
    models, wanted = open_models(), candidate(epochs=8, patience=1)
    entry = models.trainer.trained(wanted)
    model = models.trainer.load(entry, wanted)
    assert entry.meta["quality"]["validation"] == models.networks.quality(
        model, models.loaded.splits.validation
    )
    assert entry.meta["best_epoch"] <= len(entry.meta["losses"]) <= 8


class Untold(Follows):
    """As the metric itself does it: an error where it gives no number."""

    def __call__(self, model: nn.Module) -> float:
        if math.isnan(found := super().__call__(model)):
            raise StageError("score", "the metric gave nan")
        return found


@pytest.mark.parametrize("patience", [0, 3])
def test_an_early_epoch_without_a_number_is_no_verdict(patience):
    qualities = [math.nan] * 2 + [0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    _, history = run(Untold(qualities if patience else [math.nan, 0.5, 0.7, 0.9]), patience=patience)
    assert history.epochs == 8
    assert history.curve[-1] == (8, 0.9)
    assert not any(math.isnan(quality) for _, quality in history.curve)


@pytest.mark.parametrize("patience", [0, 3])
def test_a_training_that_ends_without_a_number_fails(patience):
    with pytest.raises(StageError, match="the metric gave nan"):
        run(Untold([math.nan] * 9), patience=patience)
