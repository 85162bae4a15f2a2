from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from paretune.backends.registry import get_backend
from paretune.profiles.errors import UnsupportedError, UserError
from paretune.search.space.derived_students import student_shares
from paretune.search.stages.cutting.derive import find_derivation
from paretune.search.stages.cutting.prune import Cut, prune_channels
from paretune.search.stages.models.export import export, export_onnx
from paretune.search.stages.network.model_size import model_size
from safetensors.torch import load_model, save_model
from torch import nn


class Residual(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x):
        return torch.relu(x + self.inner(x))


class Inverted(nn.Module):
    """Expansion, depthwise convolution, projection."""

    def __init__(self, width=16):
        super().__init__()
        wide = 4 * width
        self.expand, self.norm = nn.Conv2d(width, wide, 1), nn.BatchNorm2d(wide)
        self.depthwise = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)
        self.project = nn.Conv2d(wide, width, 1)

    def forward(self, x):
        return x + self.project(torch.relu(self.depthwise(torch.relu(self.norm(self.expand(x))))))


class Encoder(nn.Module):
    """Token ids, sinusoidal positions in a buffer, torch's own encoder, a padding mask."""

    def __init__(self, width=64):
        super().__init__()
        self.embed = nn.Embedding(30, width)
        self.register_buffer("positions", torch.sin(torch.arange(16 * width).reshape(16, width) / 7))
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.head = nn.Linear(width, 3)

    def forward(self, tokens, weight):
        hidden = self.embed(tokens) + self.positions[: tokens.shape[1]]
        return self.head((self.encoder(hidden) * weight[..., None]).mean(1))


class Attention(nn.Module):
    """Attention written by hand, with one matrix for query, key and value."""

    def __init__(self, width=64, heads=4):
        super().__init__()
        self.num_heads, self.head_dim = heads, width // heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        shape = (x.shape[0], x.shape[1], 3, self.num_heads, self.head_dim)
        q, k, v = self.qkv(x).reshape(shape).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return x + self.out(mixed.transpose(1, 2).reshape(x.shape[0], x.shape[1], -1))


class Recurrent(nn.Module):
    def __init__(self, kind=nn.GRU, hidden=32, **options):
        super().__init__()
        self.stem = nn.Linear(8, 32)
        self.rnn = kind(32, hidden, batch_first=True, **options)
        self.head = nn.Linear(hidden * (2 if self.rnn.bidirectional else 1), 3)

    def forward(self, x):
        return self.head(self.rnn(torch.relu(self.stem(x)))[0][:, -1])


def plain():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, stride=2), nn.ReLU(), *_classifier(64)
    )


def residual():
    return nn.Sequential(nn.Conv2d(1, 32, 3), *[Residual() for _ in range(4)], *_classifier(32))


def depthwise():
    return nn.Sequential(nn.Conv2d(1, 16, 3), *[Inverted() for _ in range(4)], *_classifier(16))


def by_hand():
    return nn.Sequential(nn.Linear(8, 64), *[Attention() for _ in range(4)], nn.Flatten(), nn.Linear(256, 3))


def _classifier(width):
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)


IMAGES = {"input": torch.randn(3, 1, 12, 12)}
SEQUENCES = {"input": torch.randn(3, 4, 8)}
TOKENS = {"tokens": torch.randint(0, 30, (3, 12)), "weight": torch.rand(3, 12)}
FAMILIES = {
    "plain": (plain, IMAGES),
    "residual": (residual, IMAGES),
    "depthwise": (depthwise, IMAGES),
    "encoder": (Encoder, TOKENS),
    "attention": (by_hand, SEQUENCES),
    "gru": (lambda: Recurrent(nn.GRU, bidirectional=True), {"x": SEQUENCES["input"]}),
    "lstm": (lambda: Recurrent(nn.LSTM, num_layers=2), {"x": SEQUENCES["input"]}),
}
STACKED = ("residual", "depthwise", "encoder", "attention")


def two(inputs):
    return [tensor[:2] for tensor in inputs.values()]


def shapes(model):
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_student_comes_near_its_share_with_shapes_that_weights_do_not_change(family, tmp_path):
    make, inputs = FAMILIES[family]
    sample, depth = two(inputs), 0.5 if family in STACKED else 1.0
    untrained, trained = make().eval(), make().eval()
    whole = model_size(untrained, sample)["macs"]
    found = find_derivation(untrained, depth, 0.2, sample)
    again = find_derivation(trained, depth, 0.2, sample)
    assert (found, found.teacher_macs) == (again, whole)
    small, other = found.apply(untrained, sample), found.apply(trained, sample)
    assert shapes(small) == shapes(other)
    assert model_size(small, sample)["macs"] == found.macs
    assert found.macs / whole == pytest.approx(0.2, rel=1 / 3)
    save_model(other, str(tmp_path / "weights.safetensors"))
    load_model(small, tmp_path / "weights.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(small(*inputs.values()), other(*inputs.values()))
    feed = {name: tensor.numpy() for name, tensor in inputs.items()}
    export_onnx(small, feed, tmp_path)  # both compare with PyTorch on batches of their own
    export(small, feed, get_backend("tflite"), 1, tmp_path)


def test_heads_go_whole_and_what_stays_computes_what_it_did():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), Attention(32, 4), nn.Flatten(), nn.Linear(160, 3)).eval()
    sample = [torch.randn(2, 5, 8)]
    with torch.no_grad():
        model[1].qkv.weight.reshape(3, 4, 8, 32)[:, [0, 2]] = 0  # heads 0 and 2 carry nothing
        model[1].qkv.bias.reshape(3, 4, 8)[:, [0, 2]] = 0
        model[1].out.weight[:, list(range(8)) + list(range(16, 24))] = 0
    whole = copy.deepcopy(model)
    prune_channels(model, 0.5, sample, Cut(layers=frozenset({"1.qkv"})))
    assert (model[1].num_heads, model[1].head_dim) == (2, 8)
    assert shapes(model)["1.qkv.weight"] == (48, 32)
    with torch.no_grad():
        torch.testing.assert_close(model(*sample), whole(*sample))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_states_that_carry_nothing_go_and_the_output_stays(kind):
    torch.manual_seed(0)
    model, sample = Recurrent(kind, 16, num_layers=2), [torch.randn(2, 5, 8)]
    dead = torch.tensor([1, 2, 5, 7, 8, 11, 13, 14])
    with torch.no_grad():
        for name, weight in model.rnn.named_parameters():
            weight.reshape(-1, 16, *weight.shape[1:])[:, dead] = 0
            if name in ("weight_hh_l0", "weight_hh_l1", "weight_ih_l1"):
                weight[:, dead] = 0
        model.head.weight[:, dead] = 0
    whole = copy.deepcopy(model).eval()
    prune_channels(model, 0.5, sample, Cut(layers=frozenset({"rnn.l0", "rnn.l1"})))
    assert (model.rnn.hidden_size, model.rnn.input_size, model.rnn.num_layers) == (8, 32, 2)
    with torch.no_grad():
        torch.testing.assert_close(model(*sample), whole(*sample))


def test_attention_and_recurrence_are_counted_as_by_hand():
    sample, steps = [torch.randn(2, 7, 32)], 7
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    by_layer = steps * (4 * 32 * 32 + 2 * 32 * 64) + 2 * steps * steps * 32
    assert model_size(nn.TransformerEncoder(layer, 2), sample)["macs"] == 2 * by_layer
    for kind, gates in ((nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)):
        model = Recurrent(kind, 16)
        macs = model_size(model, [torch.randn(2, steps, 8)])["macs"]
        assert macs == steps * (8 * 32 + gates * (32 * 16 + 16 * 16)) + 16 * 3


def test_frozen_and_tied_weights_stay_so():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.inner = nn.Embedding(20, 32), nn.Linear(32, 64)
            self.back, self.head = nn.Linear(64, 32), nn.Linear(32, 20, bias=False)
            self.head.weight = self.embed.weight
            self.inner.weight.requires_grad_(False)

        def forward(self, tokens):
            x = self.embed(tokens)
            return self.head((x + self.back(torch.relu(self.inner(x)))).mean(1))

    model, sample = Tied(), [torch.randint(0, 20, (2, 5))]
    find_derivation(model, 1.0, 0.3, sample).apply(model, sample)
    assert model.head.weight is model.embed.weight
    assert model.embed.weight.shape[1] < 32
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == ["inner.weight"]


@pytest.mark.slow
def test_between_two_widths_some_groups_are_cut_deeper_than_others():
    model, sample = residual(), two(IMAGES)
    reached = []
    for share in (0.5, 0.35, 0.2, 0.12):
        found = find_derivation(model, 1.0, share, sample)
        small = found.apply(copy.deepcopy(model), sample)
        assert model_size(small, sample)["macs"] == found.macs
        reached.append(found.macs / found.teacher_macs)
    assert reached == pytest.approx([0.5, 0.35, 0.2, 0.12], rel=0.15)


def test_what_cannot_be_had_is_refused_with_what_can():
    model, sample = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 400)), [torch.randn(2, 4)]
    with pytest.raises(UnsupportedError, match=r"macs=0\.01: .* reach are 0\.12"):
        find_derivation(model, 1.0, 0.01, sample)
    with pytest.raises(UnsupportedError, match="no stack of equal blocks"):
        find_derivation(model, 0.5, 0.5, sample)
    projected = Recurrent(nn.LSTM, 32)
    projected.rnn = nn.LSTM(32, 64, batch_first=True, proj_size=32)
    with pytest.raises(UnsupportedError, match="rnn: LSTM with proj_size cannot be pruned"):
        find_derivation(projected, 1.0, 0.5, [torch.randn(2, 5, 8)])
    with pytest.raises(UserError, match="without a `student` builder, students have no axis 'width'"):
        student_shares((("width", 8),))
    with pytest.raises(UserError, match="macs is no share"):
        student_shares((("macs", 1.5),))
    assert student_shares((("macs", 0.25),)) == (1.0, 0.25)


@pytest.mark.slow
def test_students_start_from_the_trained_teacher_and_reload_from_the_store(open_models, candidate, source):
    text = source.read_text()
    source.write_text(text.replace("student=lambda width: Net(width)", "student=None"))
    models = open_models()
    wanted = replace(candidate(), student=(("macs", 0.3),))
    models.prepare_students([wanted.student, (("depth", 0.5), ("macs", 0.3))])
    start, fresh = (
        models.networks.cut_out(models.teacher.model(), wanted.student),
        models.networks.build(wanted.student),
    )
    assert shapes(start) == shapes(fresh)
    validation = models.loaded.splits.validation
    assert models.networks.quality(start, validation) > models.networks.quality(fresh, validation) + 0.1
    entry = models.trainer.trained(wanted)
    assert entry.meta["quality"]["validation"] > 0.7
    reloaded = open_models()
    model = reloaded.trainer.load(entry, wanted)
    assert reloaded.networks.quality(model, validation) == entry.meta["quality"]["validation"]
    with pytest.raises(UnsupportedError, match="no stack of equal blocks"):
        models.prepare_students([(("depth", 0.5),)])
