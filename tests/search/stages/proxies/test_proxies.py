"""Each proxy against what its definition gives by hand, and on networks of other kinds."""

from __future__ import annotations

from math import isfinite, log

import numpy as np
import pytest
import torch
from paretune.search.stages.network.reproducible import reproducible
from paretune.search.stages.proxies.proxies import proxies_of
from torch import Tensor, nn
from torch.nn import functional as F

BATCH = 7


def looked_at(model: nn.Module, *inputs: Tensor) -> dict[str, float]:
    with reproducible(5, 1):
        return proxies_of(model, inputs)


def chain(*weights: Tensor, between: type[nn.Module] = nn.Identity) -> nn.Sequential:
    layers: list[nn.Module] = []
    for weight in weights:
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        layer.weight.data = weight.clone()
        layers += [layer, between()]
    return nn.Sequential(*layers[:-1])


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_synflow_is_what_absolute_weights_carry_from_an_input_of_ones():
    first, second = drawn(6, 4), drawn(3, 6, seed=1)
    carried = float((second.double().abs() @ first.double().abs()).sum())  # by each of the two layers
    for between in (nn.Identity, nn.ReLU, nn.GELU, nn.Tanh):
        model = chain(first, second, between=between)
        assert looked_at(model, drawn(BATCH, 4))["synflow"] == pytest.approx(log(2 * carried), abs=1e-6)


def test_synflow_of_a_network_too_deep_for_any_float_is_a_number():
    deep = [torch.full((4, 4), 25.0) for _ in range(300)]  # each layer carries 100 times as much: 10 ** 600
    found = looked_at(chain(*deep), drawn(BATCH, 4))
    assert found["synflow"] == pytest.approx(log(300 * 4) + 300 * log(100), rel=1e-6)


def test_jacov_counts_samples_that_the_network_treats_alike():
    alike = looked_at(chain(drawn(3, 4)), drawn(BATCH, 4))  # a linear one: one gradient for all samples
    values = np.array([BATCH] + [0.0] * (BATCH - 1)) + 1e-5
    assert alike["jacov"] == pytest.approx(-float(np.sum(np.log(values) + 1 / values)), rel=1e-6)
    apart = looked_at(chain(drawn(64, 4), drawn(3, 64, seed=1), between=nn.ReLU), drawn(BATCH, 4))
    assert apart["jacov"] > alike["jacov"]


@pytest.mark.parametrize("unit", [nn.ReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.PReLU])
def test_nwot_is_the_determinant_of_how_many_units_agree(unit):
    weight, data = drawn(20, 4), drawn(BATCH, 4)
    codes = (data @ weight.T > 0).double()
    agreeing = codes @ codes.T + (1 - codes) @ (1 - codes).T
    wanted = torch.linalg.slogdet(agreeing + torch.eye(BATCH))[1]
    assert looked_at(chain(weight, drawn(3, 20, seed=1), between=unit), data)["nwot"] == pytest.approx(
        float(wanted), rel=1e-6
    )


def test_zen_is_the_same_whatever_the_scale_of_weights_before_a_norm():
    def net(scale: float) -> nn.Module:
        model = nn.Sequential(*chain(drawn(8, 4)), nn.BatchNorm1d(8), nn.ReLU(), *chain(drawn(3, 8, seed=1)))
        model[0].weight.data *= scale
        return model

    data = drawn(BATCH, 4)
    one, other = looked_at(net(1.0), data), looked_at(net(100.0), data)
    assert one["zen"] == pytest.approx(other["zen"], abs=1e-3)
    wider = nn.Sequential(*chain(drawn(64, 4)), nn.BatchNorm1d(64), nn.ReLU(), *chain(drawn(3, 64, seed=1)))
    assert looked_at(wider, data)["zen"] > one["zen"]


class Detector(nn.Module):
    """Two images in, boxes and scores of two scales out; softmax, an in-place change, no norm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.down = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, stride=2)
        self.boxes, self.scores = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 5, 1)

    def forward(self, image: Tensor, depth: Tensor) -> dict[str, Tensor]:
        image.mul_(2)
        near = F.relu(self.stem(torch.cat([image, depth], dim=1)))
        far = F.relu(self.down(near))
        boxes = [self.boxes(x).flatten(2).transpose(1, 2) for x in (near, far)]
        scores = [self.scores(x).flatten(2).transpose(1, 2).softmax(-1) for x in (near, far)]
        return {"boxes": torch.cat(boxes, 1), "scores": torch.cat(scores, 1)}


class Reader(nn.Module):
    """Tokens and their mask in, one number for each sample out; made of float32 by itself."""

    def __init__(self, recurrent: bool = False) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True)
        self.body = nn.LSTM(16, 8, batch_first=True, bidirectional=True) if recurrent else layer
        self.head, self.recurrent = nn.Linear(16, 1), recurrent

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        hidden = self.words(tokens) + torch.arange(tokens.shape[1], dtype=torch.float32)[None, :, None] / 9
        hidden = self.body(hidden)[0] if self.recurrent else self.body(hidden)
        return (self.head(hidden).squeeze(-1) * mask).sum(1)


def reader_inputs() -> tuple[Tensor, Tensor]:
    tokens = torch.randint(50, (BATCH, 12), generator=torch.Generator().manual_seed(0))
    return tokens, torch.ones(BATCH, 12, dtype=torch.int64)


NETWORKS = {
    "detector": (Detector, lambda: (drawn(BATCH, 1, 16, 16), drawn(BATCH, 2, 16, 16, seed=1))),
    "reader": (Reader, reader_inputs),
    "recurrent": (lambda: Reader(recurrent=True), reader_inputs),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_networks_of_any_kind_have_all_four_the_same_each_time(kind):
    build, inputs = NETWORKS[kind]
    found = []
    for _ in range(2):
        with reproducible(3, 1):
            model = build()
        found.append(looked_at(model, *inputs()))
    assert found[0] == found[1]
    assert set(found[0]) == {"jacov", "nwot", "synflow", "zen"}
    assert all(map(isfinite, found[0].values()))


def test_what_is_not_defined_is_left_out():
    assert set(looked_at(chain(drawn(3, 4)), drawn(BATCH, 4))) == {"jacov", "synflow", "zen"}  # no units
    assert looked_at(chain(torch.zeros(3, 4)), drawn(BATCH, 4)) == {}  # nothing depends on the input
    assert looked_at(nn.ReLU(), drawn(BATCH, 4)).keys() == {"jacov", "nwot", "zen"}  # no weights
    whole = torch.arange(BATCH * 4, dtype=torch.uint8).reshape(BATCH, 4)
    assert set(looked_at(Scaled(), whole)) == {"nwot", "synflow"}  # and no small change of it


class Scaled(nn.Module):
    """Whole numbers in, which are no tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.body = chain(drawn(8, 4), drawn(3, 8), between=nn.ReLU)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.body(pixels.float() / 255 - 0.05)
