"""The comparison of backends on one tiny model: every pair has its figures or a reason."""

import json
import math

import pytest
import torch
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.contract.tuning import Tuning
from paretune.backends.registry import availability, offered_precisions, probes
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.errors import StageError
from paretune.profiles.precision import Precision
from torch import nn

from benchmarks.backends import models
from benchmarks.backends.__main__ import main
from benchmarks.backends.table import page
from benchmarks.backends.tunings import Tunings

SOME = ("ort", "tflite", "trt")  # one whose format fixes the batch, and one that cannot run everywhere
QUICK = ["--models", "tiny", "--rounds", "9"]


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, models.CLASSES))

    def forward(self, features):
        return self.net(features)


@pytest.fixture
def tiny(monkeypatch):
    made = {**models.MODELS, "tiny": (Tiny, "features", models.features, 2.0)}
    monkeypatch.setattr(models, "MODELS", made)
    monkeypatch.setattr("benchmarks.backends.__main__.MODELS", made)
    monkeypatch.setattr("benchmarks.backends.artifacts.LOADS", 1)


def measured(out):
    found = json.loads(out.read_text())
    return found, {
        (row["backend"], row["precision"], row["variant"]): row for row in found["models"]["tiny"]["rows"]
    }


@pytest.mark.slow
@pytest.mark.alone
def test_every_pair_that_is_offered_has_its_figures_or_a_reason(tiny, tmp_path, capsys):
    out = tmp_path / "figures.json"
    assert main(["--out", str(out), *QUICK, "--backends", ",".join(SOME)]) == 0
    found, rows = measured(out)
    profile = load_profile("host", probes=probes())
    here = {name for name in SOME if availability(name).installed and offered_precisions(name, profile)}
    pairs = {(name, str(precision)) for name in here for precision in offered_precisions(name, profile)}
    assert {pair[:2] for pair in rows} == pairs
    assert here | {one["backend"] for one in found["refused"] if one["what"] == "all"} == set(SOME)
    assert {name for name, about in found["runtimes"].items() if about["installed_bytes"] > 1e6} >= here
    for row in rows.values():
        assert (row["outcome"] == "measured") != bool(row["reason"]), row
        if row["outcome"] == "measured":
            low, high = row["ratio"][1:]
            assert 0 < low <= row["ratio"][0] <= high < math.inf
            assert 0 < row["cpu_ratio"][0] < math.inf
            assert min(row["size_bytes"], row["memory_bytes"], row["load_ms"]) > 0
    reference = rows["ort", "fp32", ""]
    assert reference["ratio"] == [1, 1, 1]
    assert reference["same_decisions"] == 1
    assert reference["sqnr_db"] > 80
    shown = capsys.readouterr().out
    assert all(backend in shown for backend in here)
    assert out.with_suffix(".md").read_text() == page(found)


@pytest.mark.slow
def test_what_is_done_is_not_done_again(tiny, tmp_path, monkeypatch):
    out, calls = tmp_path / "figures.json", []

    def compared(name, asked):
        calls.append((name, asked.plan.rounds))
        return {"parameters": 1, "accuracy": 1.0, "reference": {"latency_ms": 1.0}, "rows": []}

    monkeypatch.setattr("benchmarks.backends.__main__.compared", compared)
    monkeypatch.setattr("benchmarks.backends.__main__.show", lambda found: None)
    monkeypatch.setattr("benchmarks.backends.__main__.page", lambda found: "")
    for options in (QUICK, QUICK, [*QUICK[:2], "--rounds", "15"], ["--models", "tiny,mlp", "--rounds", "15"]):
        assert main(["--out", str(out), *options]) == 0
    assert calls == [("tiny", 9), ("tiny", 15), ("mlp", 15)]


@pytest.mark.parametrize("options", [["--models", "huge"], ["--models", ""], ["--backends", "ort,gcc"]])
def test_a_name_that_is_none_is_told(options, tmp_path, capsys):
    assert main(["--out", str(tmp_path / "figures.json"), *options]) == 1
    assert "accepted" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [["--rounds", "8"], ["--tune", "256"], ["--tune", "0,60"], ["--tune", "a,b"]]
)
def test_a_number_that_is_none_is_told(options, tmp_path):
    with pytest.raises(SystemExit) as ended:
        main(["--out", str(tmp_path / "figures.json"), *options])
    assert ended.value.code == 2


def test_figures_that_cannot_be_written_or_continued_end_it_before_any_work(tmp_path, capsys):
    (tmp_path / "broken.json").write_text("{")
    for out in (tmp_path, tmp_path / "broken.json", tmp_path / "broken.json" / "figures.json"):
        assert main(["--out", str(out), "--backends", "ort"]) == 1
        assert "figures" in capsys.readouterr().err
    assert (tmp_path / "broken.json").read_text() == "{"


def tune(tunings, folder, content, tuned):
    class Runner:
        def tune(self, backend, source, settings, budget, known, into):
            tuned.append((content, len(known)))
            if content == "broken":
                raise StageError("compile", "killed")
            return {"trials": budget.trials}

    path = folder / "model.onnx"
    path.write_text(content)
    source, settings = SourceModel(path=path, format="onnx"), CompileSettings(precision=Precision.FP32)
    return tunings.tuned(Runner(), "ort", source, settings)


def test_no_model_is_tuned_twice_and_each_starts_from_what_others_found(tmp_path):
    tunings, tuned = Tunings(tmp_path / "tuned", Tuning(trials=8, seconds=9)), []
    first, facts = tune(tunings, tmp_path, "one", tuned)
    with pytest.raises(StageError):
        tune(tunings, tmp_path, "broken", tuned)
    tune(tunings, tmp_path, "two", tuned)
    assert tune(tunings, tmp_path, "one", tuned) == (first, facts)
    assert facts == {"trials": 8}
    assert tuned == [("one", 0), ("broken", 1), ("two", 1)]
    longer = Tunings(tmp_path / "tuned", Tuning(trials=9, seconds=9))
    assert tune(longer, tmp_path, "one", tuned)[0].tuned != first.tuned


@pytest.mark.slow
def test_models_are_the_same_on_every_call_and_have_learnt_something():
    first, second = models.trained("recurrent"), models.trained("recurrent")
    assert (first.wanted == second.wanted).all()
    assert 0.5 < first.accuracy < 1
    assert all(
        torch.equal(a, b) for a, b in zip(*(m.module.parameters() for m in (first, second)), strict=True)
    )
    assert len(first.calibration["frames"]) == models.CALIBRATION
