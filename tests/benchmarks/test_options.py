"""The benchmark of deployment options on a tiny model, and a runtime that is twice as fast if told to be."""

import json

import pytest
from torch import nn

from benchmarks import options
from benchmarks.backends import models


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(256, models.CLASSES)

    def forward(self, features):
        return self.net(features)


@pytest.mark.slow
def test_what_matters_is_found_and_measured_afresh(tmp_path, monkeypatch, capsys):
    made = {"tiny": (Tiny, "features", models.features, 2.0)}
    monkeypatch.setattr(models, "MODELS", made)
    monkeypatch.setattr(options, "MODELS", made)
    out = tmp_path / "figures.json"
    arguments = [
        "--out",
        str(out),
        "--models",
        "tiny",
        "--backends",
        "toy",
        "--rounds",
        "9",
        "--processes",
        "1",
    ]
    assert options.main(arguments) == 0
    found = json.loads(out.read_text())["models"]["tiny"]["toy"]
    assert found["chosen"] == {"pace": "run"}
    assert found["gain"] == pytest.approx([2.0] * 3, rel=0.1)
    assert found["batch_8"][0] > 1
    assert "| tiny | toy | pace run | 2 " in capsys.readouterr().out
