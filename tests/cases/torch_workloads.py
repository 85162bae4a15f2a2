"""Small workloads around one situation each: an operator, a weight, a byte order. Each learns in a second."""

import time

import numpy as np
import torch
from paretune import Split, Splits, Workload
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.nn.utils import weight_norm as old_weight_norm

COUNTS = {"train": 240, "calibration": 48, "validation": 120, "test": 120}
CLASSES = 3


def drawn(make):
    """Splits of which each is made from a generator and a number of samples."""
    return lambda: Splits(
        **{
            name: make(np.random.default_rng(seed), count)
            for seed, (name, count) in enumerate(COUNTS.items())
        }
    )


def trained(loss, steps=120, rate=5e-3):
    """A function that trains a teacher on batches of the training split."""

    def train(model, splits):
        torch.manual_seed(0)
        x, y = (
            torch.from_numpy(a.copy())
            for a in (next(iter(splits.train.inputs.values())), splits.train.labels)
        )
        optimizer = torch.optim.Adam(model.parameters(), rate)
        for _ in range(steps):
            rows = torch.randint(len(x), (32,))
            optimizer.zero_grad()
            loss(model(x[rows]), y[rows]).backward()
            optimizer.step()

    return train


def signals(rng, count, shape=(4, 16), noise=0.6):
    """Samples around one pattern for each class."""
    patterns = np.random.default_rng(9).normal(size=(CLASSES, *shape))
    labels = np.arange(count) % CLASSES
    values = patterns[labels] + rng.normal(0, noise, (count, *shape))
    return Split(inputs={"x": values.astype(np.float32)}, labels=labels.astype(np.int64))


def images(rng, count):
    return signals(rng, count, (3, 8, 8), 1.0)


# -- operators that divide, view or fold channels ------------------------------------------------------


class Upscaler(nn.Module):
    def __init__(self):
        super().__init__()
        self.head, self.body = nn.Conv2d(1, 12, 3, padding=1), nn.Conv2d(12, 12, 3, padding=1)
        self.tail, self.shuffle = nn.Conv2d(12, 4, 3, padding=1), nn.PixelShuffle(2)

    def forward(self, low):
        found = F.relu(self.head(low))
        enlarged = F.interpolate(low, scale_factor=2.0, mode="nearest")
        return self.shuffle(self.tail(F.relu(self.body(found)))) + enlarged


def halved(rng, count):
    at = np.linspace(0, 1, 12)
    a, b, c = (rng.uniform(2, 9, (count, 1, 1)) for _ in range(3))
    full = (0.5 + 0.2 * np.sin(a * at[:, None] + b) + 0.2 * np.cos(c * at))[:, None].astype(np.float32)
    low = full.reshape(count, 1, 6, 2, 6, 2).mean((3, 5))
    return Split(inputs={"low": low.astype(np.float32)}, labels=full)


pixel_shuffle = Workload(
    name="pixel-shuffle", splits=drawn(halved), teacher=Upscaler, metric="psnr", task="regression",
    train_teacher=trained(F.mse_loss, steps=150),
)  # fmt: skip


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 16 * 2 * 2)
        self.up, self.norm = nn.ConvTranspose2d(16, 8, 2, stride=2, bias=False), nn.BatchNorm2d(8)
        self.out = nn.ConvTranspose2d(8, 1, 2, stride=2)

    def forward(self, code):
        hidden = F.relu(self.linear(code)).view(-1, 16, 2, 2)
        return self.out(F.relu(self.norm(self.up(hidden))))


def codes(rng, count):
    code = rng.uniform(-1, 1, (count, 3)).astype(np.float32)
    basis = np.random.default_rng(1).normal(size=(3, 64))
    return Split(
        inputs={"code": code}, labels=np.tanh(code @ basis).reshape(count, 1, 8, 8).astype(np.float32)
    )


decoder = Workload(
    name="decoder", splits=drawn(codes), teacher=Decoder, metric="rmse", train_teacher=trained(F.mse_loss)
)


class Shuffled(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.act = nn.Conv2d(3, 16, 3, padding=1), nn.PReLU(16)
        self.left, self.right = nn.Conv2d(16, 16, 1, groups=2), nn.Conv2d(16, 32, 3, padding=1)
        self.head = nn.Linear(32, CLASSES)

    def forward(self, x):
        hidden = self.left(self.act(self.stem(x)))
        batch, channels, height, width = hidden.shape
        mixed = hidden.view(batch, 2, channels // 2, height, width).transpose(1, 2)
        return self.head(F.relu(self.right(mixed.reshape(batch, channels, height, width))).mean((2, 3)))


shuffle = Workload(
    name="shuffle", splits=drawn(images), teacher=Shuffled, train_teacher=trained(F.cross_entropy)
)


# -- weights ---------------------------------------------------------------------------------------------


class DeadChannels(nn.Module):
    """Half of the channels of a layer have almost no weight and a large offset."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.second, self.head = nn.Conv2d(16, 16, 3, padding=1), nn.Linear(16, CLASSES)

    def forward(self, x):
        return self.head(F.hardswish(self.second(F.hardswish(self.norm(self.first(x))))).mean((2, 3)))


def train_and_let_die(model, splits):
    trained(F.cross_entropy)(model, splits)
    with torch.no_grad():
        model.first.weight[::2] *= 1e-9
        model.first.bias[::2] = 0.0
        model.norm.running_mean[::2], model.norm.running_var[::2] = 0.0, 1.0
        model.norm.weight[::2], model.norm.bias[::2] = 1.0, 3.0
    for frozen in (model.first, model.norm):
        frozen.requires_grad_(False)
    model.eval()
    trained(F.cross_entropy)(model, splits)


dead_channels = Workload(
    name="dead-channels", splits=drawn(images), teacher=DeadChannels, train_teacher=train_and_let_die
)


class Temporal(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.first, self.second = norm(nn.Conv1d(4, 16, 3, padding=1)), norm(nn.Conv1d(16, 16, 3, padding=1))
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x):
        return self.head(F.relu(self.second(F.relu(self.first(x)))).mean(2))


def _temporal(norm):
    return Workload(
        name="temporal",
        splits=drawn(signals),
        teacher=lambda: Temporal(norm),
        train_teacher=trained(F.cross_entropy),
    )


weight_norm, new_weight_norm = _temporal(old_weight_norm), _temporal(parametrizations.weight_norm)


# -- time and byte order -----------------------------------------------------------------------------------


class Plain(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, CLASSES))

    def forward(self, x):
        return self.net(x)


def slow_student(width):
    _built.append(width)
    if len(_built) > 2:  # both were checked, and the search has begun
        time.sleep(SLOW_S)
    return Plain(width)


_built: list[int] = []
SLOW_S = 10
"""As a large model takes; and as long as the budget of the study."""
slow = Workload(
    name="slow",
    splits=drawn(signals),
    teacher=Plain,
    student=slow_student,
    train_teacher=trained(F.cross_entropy),
)


def in_other_order(rng, count):
    """Inputs of the other byte order, and labels of it that have no sign either."""
    plain = signals(rng, count)
    return Split(inputs={"x": plain.inputs["x"].astype(">f4")}, labels=plain.labels.astype(">u2"))


big_endian = Workload(
    name="order",
    splits=drawn(in_other_order),
    teacher=Plain,
    train_teacher=lambda model, splits: trained(F.cross_entropy)(model, drawn(signals)()),
)
