"""TorchScript and torch.export programs as teachers: run, copied, named by their content, exported."""

import copy
import warnings

import numpy as np
import pytest
import torch
from paretune.backends.onnx_graph.session import run_all
from paretune.profiles.errors import UnsupportedError, UserError
from paretune.search.stages.models.export import export_onnx
from paretune.search.stages.network.model_size import model_size
from paretune.search.stages.network.programs import Program, as_network, refuse_program
from paretune.search.workload.model_file import program_in
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x, shift):
        y = self.second(torch.relu(self.first(x))) + shift
        return y, y.sum(dim=1)


X, SHIFT = torch.randn(4, 6), torch.randn(4, 3)
BATCH = torch.export.Dim("batch")
FREE = {"x": {0: BATCH}, "shift": {0: BATCH}}


def net():
    torch.manual_seed(0)
    return Net().eval()


def exported(model=None, dynamic=FREE, args=(X, SHIFT), named=None):
    return torch.export.export(model or net(), args, named or {}, dynamic_shapes=dynamic)


MADE = {
    "script": lambda: torch.jit.script(net()),
    "trace": lambda: torch.jit.trace(net(), (X, SHIFT)),
    "frozen": lambda: torch.jit.freeze(torch.jit.script(net())),
    "exported": exported,
    "by name": lambda: exported(args=(X,), named={"shift": SHIFT}),
    "its module": lambda: exported().module(),
    "at most 3": lambda: exported(
        dynamic={"x": {0: (b := torch.export.Dim("batch", max=3))}, "shift": {0: b}}, args=(X[:3], SHIFT[:3])
    ),
}


@pytest.mark.parametrize("kind", MADE)
def test_a_program_runs_in_order_and_by_name_for_any_number_of_samples_in_any_mode(kind):
    program = as_network(MADE[kind]())
    assert isinstance(program, Program)
    assert [one.name for one in program.parameters_of_forward] == ["x", "shift"]
    program.train()
    program.eval()
    assert not program.training
    for count in (1, 2, 4):
        wanted = net()(X[:count], SHIFT[:count])
        for got in (program(X[:count], SHIFT[:count]), program(shift=SHIFT[:count], x=X[:count])):
            for one, other in zip(got, wanted, strict=True):
                torch.testing.assert_close(one, other)
    assert model_size(program, [X, SHIFT]) == model_size(net(), [X, SHIFT])


@pytest.mark.parametrize("kind", ["script", "frozen", "exported"])
def test_a_copy_shares_no_weights_and_says_nothing(kind):
    program = as_network(MADE[kind]())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other = copy.deepcopy(program).cpu().eval()
    assert other.digest == program.digest
    before = program(X, SHIFT)[0].clone()
    with torch.no_grad():
        for parameter in other.parameters():
            assert parameter.is_leaf
            parameter.zero_()
    torch.testing.assert_close(program(X, SHIFT)[0], before)


def test_the_digest_tells_programs_apart_whose_weights_are_alike():
    class Other(Net):
        def forward(self, x, shift):
            y = self.second(torch.tanh(self.first(x))) + shift
            return y, y.sum(dim=1)

    other = Other().eval()
    other.load_state_dict(net().state_dict())
    for make in (torch.jit.script, exported):
        digests = [as_network(make(one)).digest for one in (net(), net(), other)]
        assert digests[0] == digests[1] != digests[2]
    frozen = [torch.jit.freeze(torch.jit.script(Net().eval())) for _ in range(2)]
    assert as_network(frozen[0]).digest != as_network(frozen[1]).digest


@pytest.mark.parametrize("kind", ["script", "frozen", "by name"])
def test_a_program_is_exported_with_a_free_batch_and_its_own_names(kind, tmp_path):
    import onnx

    sample = {"x": X.numpy(), "shift": SHIFT.numpy()}
    source = export_onnx(as_network(MADE[kind]()), sample, tmp_path, ("scores", "total"))
    got = run_all(onnx.load(source.path), {name: array[:3] for name, array in sample.items()})
    wanted = net()(X[:3], SHIFT[:3])[0].detach().numpy()
    np.testing.assert_allclose(got["scores"], wanted, rtol=1e-4, atol=1e-5)


def test_a_program_of_one_batch_is_refused_with_what_frees_it():
    with pytest.raises(UserError) as caught:
        as_network(exported(dynamic=None))
    assert "dynamic_shapes" in caught.value.remedy
    assert "4 samples" in caught.value.problem


def test_what_needs_modules_is_refused_for_programs_alone():
    refuse_program(net(), "cut")
    with pytest.raises(UnsupportedError, match=r"nn\.Module"):
        refuse_program(as_network(torch.jit.script(net())), "cut")
    assert isinstance(as_network(torch.fx.symbolic_trace(net())), torch.fx.GraphModule)


def test_files_are_known_by_what_stands_in_them(tmp_path):
    kinds = {
        "TorchScript": torch.jit.script(net()).save,
        "torch.export": lambda p: torch.export.save(exported(), p),
    }
    for kind, save in kinds.items():
        path = tmp_path / f"{kind}.bin"
        save(str(path))
        assert program_in(path).kind == kind
        assert isinstance(as_network(program_in(path)()), Program)
        damaged = tmp_path / "damaged.pt"
        damaged.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(UserError, match="damaged"):
            program_in(damaged)
    (tmp_path / "other").write_bytes(b"\x08\x0a")
    assert program_in(tmp_path / "other") is None


@pytest.mark.parametrize("old", [True, False])
def test_weights_alone_are_refused_unopened_with_how_to_give_them(old, tmp_path):
    torch.save(net().state_dict(), tmp_path / "w.pt", _use_new_zipfile_serialization=not old)
    with pytest.raises(UserError, match="load_state_dict"):
        program_in(tmp_path / "w.pt")


class Optional(Net):
    def forward(self, x, shift, scale: torch.Tensor | None = None, double: bool = False):
        y = self.second(torch.relu(self.first(x))) + shift
        if scale is not None:
            y = y * scale
        return y * 2 if double else y


def test_arguments_that_are_not_given_keep_their_defaults_in_what_is_exported(tmp_path):
    model = Optional().eval()
    sample = {"x": X.numpy(), "shift": SHIFT.numpy()}
    source = export_onnx(as_network(torch.jit.script(model)), sample, tmp_path)
    import onnx

    got = run_all(onnx.load(source.path), {name: array[:3] for name, array in sample.items()})
    np.testing.assert_allclose(got["output"], model(X[:3], SHIFT[:3]).detach(), rtol=1e-4, atol=1e-5)


def test_what_pytorch_itself_quantized_is_refused():
    from torch.ao.quantization import quantize_dynamic

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = quantize_dynamic(net(), {nn.Linear}, dtype=torch.qint8)
    with pytest.raises(UserError, match="quantized already"):
        as_network(torch.jit.script(model))


class Regular(Net):
    def __init__(self):
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(8), nn.Dropout(0.5)

    def forward(self, x, shift):
        return self.second(self.drop(self.norm(self.first(x)))) + shift


def test_what_was_exported_in_training_mode_is_run_as_in_evaluation():
    torch.manual_seed(0)
    model = Regular().train()
    made = as_network(exported(model)).eval()
    before = {name: tensor.clone() for name, tensor in made.state_dict().items() if "tracked" not in name}
    torch.testing.assert_close(made(X, SHIFT), model.eval()(X, SHIFT))
    for name, tensor in before.items():
        torch.testing.assert_close(made.state_dict()[name], tensor)


def test_a_program_that_needs_several_samples_is_refused():
    batch = torch.export.Dim("batch", min=3, max=16)
    with pytest.raises(UserError, match="3 samples at once and no fewer"):
        as_network(exported(dynamic={"x": {0: batch}, "shift": {0: batch}}))
