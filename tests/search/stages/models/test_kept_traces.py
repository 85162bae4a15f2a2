"""What is exported from a kept trace is, byte by byte, what a new export gives."""

import copy
import gc

import numpy as np
import pytest
import torch
from paretune.backends.registry import get_backend
from paretune.search.stages.models import export as exporting
from paretune.search.stages.models.export import export
from paretune.search.stages.models.exporters import unhindered
from paretune.search.stages.models.kept_traces import KeptTraces
from paretune.search.stages.network.form import form_of
from torch import nn

SAMPLE = {"x": np.random.default_rng(0).normal(size=(8, 3, 6, 6)).astype(np.float32)}


class Net(nn.Module):
    """Weights that exporters fold, share, mask with, transpose and compute constants of."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.left, self.right = nn.Linear(4, 4), nn.Linear(4, 4)
        self.right.load_state_dict(self.left.state_dict())
        self.tied = nn.Linear(4, 4, bias=False)
        self.tied.weight = self.left.weight
        self.register_buffer("shift", torch.zeros(4), persistent=False)
        self.register_buffer("mask", torch.full((4, 4), -torch.inf).triu(1))
        self.steps = [1.0, 2.0]

    def forward(self, x):
        found = self.body(x).mean((2, 3)) * self.steps[1] + self.shift
        found = self.tied(self.right(self.left(found)))
        return found @ (self.left.weight.t() + self.mask).softmax(-1)


def trained(seed):
    """The same network with other weights: half of them zero, a norm that lets nothing through."""
    model = Net()
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*model.parameters(), model.shift, model.body[1].running_mean):
            tensor.copy_(torch.randn(tensor.shape, generator=drawn))
            tensor.view(-1)[::2] = 0
        model.body[1].weight.zero_()
    return model


@pytest.mark.parametrize("name", ["ort", pytest.param("tflite", marks=pytest.mark.slow)])
def test_bytes_are_those_of_a_new_export(tmp_path, monkeypatch, name):
    backend, traces = get_backend(name), KeptTraces()
    export(Net(), SAMPLE, backend, 1, tmp_path, traces=traces)
    model, exports = trained(3), []
    again = export(copy.deepcopy(model), SAMPLE, backend, 1, tmp_path, traces=_counted(traces, exports))
    found = again.path.read_bytes()
    assert exports == [True]
    assert found == export(model, SAMPLE, backend, 1, tmp_path).path.read_bytes()


def _counted(traces, served):
    """The same traces, which tell whether one was there and was not dropped."""
    get, drop = traces.get, traces.drop
    traces.get = lambda key: (served.append((found := get(key)) is not None), found)[1]
    traces.drop = lambda key: (served.append(False), drop(key))
    return traces


def test_a_trace_that_gives_another_function_is_not_used(tmp_path, monkeypatch):
    backend, traces = get_backend("ort"), KeptTraces()
    wanted = export(trained(3), SAMPLE, backend, 1, tmp_path, traces=traces).path.read_bytes()

    def stale(trace, weights, feed, path, outputs):
        torch_export_again(
            trace, {name: torch.ones_like(one) for name, one in weights.items()}, feed, path, outputs
        )

    torch_export_again = exporting.export_again
    monkeypatch.setattr(exporting, "export_again", stale)
    assert export(trained(3), SAMPLE, backend, 1, tmp_path, traces=traces).path.read_bytes() == wanted


def changed(change):
    model = Net()
    change(model)
    return model


def untie(model):
    model.tied.weight = nn.Parameter(model.left.weight.detach().clone())


def test_the_form_is_all_but_the_numbers_of_weights():
    assert form_of(Net()) == form_of(trained(3))
    others = [
        lambda model: model.steps.append(3.0),
        lambda model: setattr(model, "listed", [model.left.weight]),
        lambda model: setattr(model.body, "forward", lambda x: x),
        lambda model: setattr(model.body[1], "eps", 0.1),
        lambda model: model.register_buffer("shift", torch.zeros(4, dtype=torch.float16)),
        untie,
    ]
    assert len({form_of(Net()), *(form_of(changed(other)) for other in others)}) == 1 + len(others)


def test_numbers_that_are_no_weights_count_where_a_tracer_reads_them():
    def listed(value):
        return changed(lambda model: setattr(model, "listed", [torch.full((4,), value)]))

    assert form_of(listed(1.0)) == form_of(listed(1.0)) != form_of(listed(2.0))


def test_what_cannot_be_compared_has_no_form():
    assert form_of(changed(lambda model: setattr(model, "source", iter([1])))) is None
    conjugate = torch.zeros(2, dtype=torch.complex64).conj()
    assert form_of(changed(lambda model: setattr(model, "numbers", conjugate))) is None

    def not_yet():
        return later

    assert form_of(changed(lambda model: setattr(model, "ask", not_yet))) is None
    later = 1


def test_threads_and_garbage_are_as_before_whatever_an_exporter_raises():
    before = torch.get_num_threads(), gc.isenabled()
    with pytest.raises(ZeroDivisionError), unhindered():
        raise ZeroDivisionError
    assert (torch.get_num_threads(), gc.isenabled()) == before
