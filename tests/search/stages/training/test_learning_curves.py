from __future__ import annotations

import json
import random
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from paretune.profiles.errors import InternalError
from paretune.search.record.evaluation import Bound
from paretune.search.record.protocols import Decision
from paretune.search.record.stops import Interrupted, TrainingStopped
from paretune.search.stages.models.networks import WEIGHTS
from paretune.search.stages.network.predict import predict
from paretune.search.stages.network.reproducible import reproducible, state_digest
from paretune.search.stages.training.checkpoint import FORMAT, History, load_checkpoint, save_checkpoint
from paretune.search.stages.training.loop import Control, Data, TrainingPlan, Watch, milestones, train
from paretune.search.store.manifest import MANIFEST
from torch import nn

BOUND = Bound(value=0.5, basis="its learning curve", beaten_by=3)


class Judge:
    """Stops a training of the given kind at a milestone, and remembers what it was asked."""

    def __init__(self, kind: str = "", epoch: int = 0, *, pause: bool = False) -> None:
        self.kind, self.epoch, self.pause, self.asked = kind, epoch, pause, []

    def __call__(self, milestone):
        self.asked.append((milestone.kind, milestone.curve[-1][0]))
        self.milestone = milestone
        if self.asked[-1] == (self.kind, self.epoch):
            bound = None if self.pause else BOUND
            return Decision(reason=f"beaten after epoch {self.epoch}", bound=bound, pause=self.pause)
        return None


def stopped(models, candidate, judge) -> TrainingStopped:
    with pytest.raises(TrainingStopped, match=f"beaten after epoch {judge.epoch}") as raised:
        models.trainer.trained(candidate, judge=judge)
    return raised.value


def weights(entry) -> bytes:
    return (entry.path / WEIGHTS).read_bytes()


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(0, ()), (3, ()), (4, (1, 2, 3)), (5, (1, 3, 4)), (8, (2, 4, 6)), (12, (3, 6, 9)), (30, (8, 15, 23))],
)
def test_rungs_are_quarters_of_the_epochs(epochs, expected):
    assert milestones(epochs) == expected


def test_rungs_are_distinct_and_never_the_last_epoch():
    for epochs in range(4, 300):
        first, second, third = milestones(epochs)
        assert 0 < first < second < third < epochs


def test_a_curve_has_the_quality_at_the_rungs_and_at_the_end(open_models, candidate):
    models, judge, wanted = open_models(), Judge("distill", 4), candidate(epochs=8)
    stop = stopped(models, wanted, judge)
    assert judge.asked == [("distill", 2), ("distill", 4)]
    key = models.needed.key(wanted)
    assert (stop.milestone.key, stop.milestone.kind, stop.milestone.epochs) == (key, "distill", 8)
    assert 0 < stop.milestone.pace <= stop.seconds / 4 * 1.001
    saved = torch.load(models.store.workdir("distill", key) / "checkpoint.pt", weights_only=True)
    model = models.networks.untrained(wanted)
    model.load_state_dict(saved["parts"]["model"])
    assert stop.milestone.curve[-1] == (4, models.networks.quality(model, models.loaded.splits.validation))
    meta = models.trainer.trained(wanted).meta
    assert [epochs for epochs, _ in meta["curve"]] == [2, 4, 6, 8]
    assert tuple(map(tuple, meta["curve"][:2])) == stop.milestone.curve
    assert meta["curve"][-1] == [8, meta["quality"]["validation"]]
    assert len({quality for _, quality in meta["curve"]}) > 1


def test_short_trainings_and_none_at_all_have_the_end_alone(open_models, candidate):
    models, judge = open_models(), Judge()
    assert [e for e, _ in models.trainer.trained(candidate(epochs=3), judge=judge).meta["curve"]] == [3]
    untuned = candidate(width=None, sparsity="2:4", finetune_epochs=0)
    meta = models.trainer.trained(untuned, judge=judge).meta
    assert meta["curve"] == [[0, meta["quality"]["validation"]]]
    assert judge.asked == []


def test_a_stopped_training_goes_on_to_the_same_bits(open_models, candidate, tmp_path):
    stops, lines = [], []
    control = Control(progress=lines.append)
    for epoch, asked in ((1, [1]), (1, [1]), (3, [1, 2, 3])):
        judge, models = Judge("distill", epoch, pause=epoch == 3), open_models(control=control)
        stops.append(stopped(models, candidate(), judge))
        assert [at for _, at in judge.asked] == asked
        assert stops[-1].seconds > 0
        assert stops[-1].decision.pause == (epoch == 3)
        assert stops[-1].decision.bound == (None if epoch == 3 else BOUND)
        assert models.store.get("distill", models.needed.key(candidate())) is None
    judge = Judge()
    resumed = open_models(control=control).trainer.trained(candidate(), judge=judge)
    assert [at for _, at in judge.asked] == [3]
    trained = [line.partition(",")[0] for line in lines if line.startswith("distill")]
    assert trained == [f"distill: epoch {epoch} of 4" for epoch in (1, 2, 3, 4)]
    assert not resumed.path.parent.parent.joinpath(".work", f"distill.{resumed.key}").exists()
    (tmp_path / "store").rename(tmp_path / "old store")
    whole = open_models().trainer.trained(candidate())
    assert (tmp_path / "old store" / "distill" / resumed.key / WEIGHTS).read_bytes() == weights(whole)
    assert resumed.meta["curve"] == whole.meta["curve"]
    assert resumed.meta["earlier_seconds"] > stops[0].seconds


def test_a_sparse_model_stops_in_its_student_or_in_its_own_training(open_models, candidate, made, tmp_path):
    dense, sparse = candidate(), candidate(sparsity="2:4", finetune_epochs=4)
    models = open_models()
    stopped(models, dense, Judge("distill", 2))
    lines: list[str] = []
    again = open_models(control=Control(progress=lines.append))
    stop = stopped(again, sparse, Judge("distill", 2))
    assert stop.milestone.key == models.needed.key(dense)
    assert lines == []  # another candidate that needs the same student trains nothing in vain
    judge, seen = Judge("prune", 2), []
    with pytest.raises(TrainingStopped, match="beaten after epoch 2"):
        again.trainer.trained(sparse, note=seen.append, judge=judge)
    assert judge.asked == [("distill", 2), ("distill", 3), ("prune", 1), ("prune", 2)]
    assert (judge.milestone.key, judge.milestone.epochs) == (models.needed.key(sparse), 4)
    assert [entry.stage for entry in seen if not entry.cached] == ["distill"]
    assert made(again) == {"teacher": 1, "distill": 1}
    judge = Judge()
    resumed = open_models().trainer.trained(sparse, judge=judge)
    assert judge.asked == [("prune", 2), ("prune", 3)]
    (tmp_path / "store").rename(tmp_path / "old store")
    whole = open_models().trainer.trained(sparse)
    assert (tmp_path / "old store" / "prune" / resumed.key / WEIGHTS).read_bytes() == weights(whole)
    assert resumed.meta["curve"] == whole.meta["curve"]


def test_the_seconds_of_a_pruning_are_without_those_of_its_student(open_models, candidate):
    made = {}
    open_models().trainer.trained(
        candidate(sparsity="2:4"), note=lambda entry: made.setdefault(entry.stage, entry)
    )
    manifests = {
        stage: json.loads((made[stage].path / MANIFEST).read_text()) for stage in ("distill", "prune")
    }
    began = manifests["prune"]["created"] - manifests["prune"]["seconds"]
    assert began > manifests["distill"]["created"]


def test_a_stop_without_a_bound_is_an_error_of_ours(open_models, candidate):
    with pytest.raises(InternalError, match="distill was stopped without a bound on its quality: bored"):
        open_models().trainer.trained(candidate(), judge=lambda milestone: Decision(reason="bored"))


def test_a_checkpoint_of_another_version_costs_only_its_epochs(open_models, candidate, caplog):
    models = open_models()
    stopped(models, candidate(), Judge("distill", 2))
    path = models.store.workdir("distill", models.needed.key(candidate())) / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    old = {**state["parts"], "random": state["random"]["torch"], "losses": state["losses"]}
    torch.save(old, path)
    lines: list[str] = []
    again = open_models(control=Control(progress=lines.append))
    assert [epoch for epoch, _ in again.trainer.trained(candidate()).meta["curve"]] == [1, 2, 3, 4]
    assert lines[0].startswith("distill: epoch 1 of 4")
    assert f"format 1 of another version, this one reads {FORMAT}" in caplog.text


def test_a_checkpoint_keeps_what_training_has_come_to_and_adds_up_its_seconds(tmp_path):
    path, layer = tmp_path / "checkpoint.pt", nn.Linear(2, 2)
    history = History(losses=[2.0, 1.0], curve=[(2, 0.75)], earlier_seconds=5.0)
    assert history.at_milestone
    save_checkpoint(path, {"model": layer}, history, seconds=2.0)
    other = nn.Linear(2, 2)
    found = load_checkpoint(path, {"model": other})
    assert found == History(losses=[2.0, 1.0], curve=[(2, 0.75)], earlier_seconds=7.0)
    assert state_digest(other) == state_digest(layer)
    assert not History(losses=[1.0, 1.0, 1.0], curve=[(2, 0.75)]).at_milestone
    assert load_checkpoint(tmp_path / "none.pt", {}) is None


class Restless(nn.Module):
    """Draws from every generator while it trains, and (which it should not) while it is evaluated."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop, self.head = nn.BatchNorm1d(6), nn.Dropout(0.3), nn.Linear(6, 3)

    def forward(self, features):
        noise = random.random() + np.random.rand() + torch.rand(1)
        return self.head(self.drop(self.norm(features))) * (1 + 0.1 * noise)


PLAN = TrainingPlan(
    stage="test", epochs=6, learning_rate=0.05, batch=16, temperature=2.0, distill_weight=0.5, seed=3
)


def trained(path=None, watch=None, control=None) -> str:
    rng = np.random.default_rng(0)
    inputs, soft = (torch.from_numpy(rng.normal(size=s).astype(np.float32)) for s in ((64, 6), (64, 3)))
    data = Data(
        inputs=[inputs],
        labels=torch.from_numpy(rng.integers(0, 3, 64)),
        soft_targets=soft,
        loss="classification",
    )
    with reproducible(PLAN.seed, 1):
        model = Restless()
        train(model, data, PLAN, path, control or Control(), watch=watch)
    assert not model.training
    return state_digest(model)


def restless_quality(model) -> float:
    model.eval()
    with torch.no_grad():
        outputs = model(torch.ones(8, 6))
    return float(outputs.sum() + torch.rand(1) + np.random.rand() + random.random())


def restless_judge(milestone) -> None:
    torch.rand(1), np.random.rand(), random.random()


def test_watching_a_training_changes_none_of_its_bits():
    watch = Watch(key="k", kind="distill", quality=restless_quality, judge=restless_judge)
    assert trained(watch=watch) == trained()


def test_models_that_draw_from_python_and_numpy_are_resumed_to_the_same_bits(tmp_path):
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(Interrupted, match="test stopped after epoch 1 of 6"):
        trained(path, control=Control(should_stop=lambda: True))
    random.random(), np.random.rand(), torch.rand(1)
    assert trained(path) == trained()


def test_the_end_of_the_time_stops_a_training_within_its_epoch_and_it_goes_on_to_the_same_bits(tmp_path):
    path, steps = tmp_path / "checkpoint.pt", iter([False] * 5 + [True])
    with pytest.raises(Interrupted, match=r"within epoch \d of 6"):
        trained(path, control=Control(out_of_time=lambda: next(steps)))
    assert trained(path) == trained()


def test_a_training_takes_what_its_clock_tells(tmp_path):
    path, standing = tmp_path / "checkpoint.pt", Control(should_stop=lambda: True, clock=lambda: 7.0)
    with pytest.raises(Interrupted):
        trained(path, control=standing)
    assert load_checkpoint(path, {}).earlier_seconds == 0.0


def test_all_that_a_training_computes_is_in_blocks_that_may_wait_for_others(monkeypatch):
    depth, blocks, forward = [0], [], Restless.forward

    @contextmanager
    def block():
        blocks.append(None)
        depth[0] += 1
        yield
        depth[0] -= 1

    def inside(model, features):
        assert depth == [1]
        return forward(model, features)

    monkeypatch.setattr(Restless, "forward", inside)
    watch = Watch(key="k", kind="distill", quality=restless_quality)
    assert trained(watch=watch, control=Control(step=block)) == trained(control=Control(step=block))
    assert len(blocks) >= 2 * PLAN.epochs * 64 / PLAN.batch


def test_the_final_quality_is_that_of_the_reloaded_model(open_models, candidate):
    models, wanted = open_models(), candidate(sparsity="2:4", finetune_epochs=4)
    entry = models.trainer.trained(wanted)
    split = models.loaded.splits.validation
    outputs = predict(models.trainer.load(entry, wanted), split)
    assert entry.meta["curve"][-1] == [4, models.networks.metric.function(outputs, split.labels)]
