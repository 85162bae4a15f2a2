"""Spoken digits: students by kind of convolution, width, depth and channels that are pruned.

The data and what becomes of a recording are those of examples/spoken_digits.py. `kind` says what a layer is:
`plain` 3 x 3 convolutions, `separable` ones (a filter per channel, then a mixture of channels), or `temporal`
ones (Choi et al. 2019, arXiv:1904.03814): frequencies are channels, and a layer looks along time alone.
"""

from __future__ import annotations

from functools import partial

from paretune import Split, Splits, Workload
from torch import Tensor, nn

from benchmarks.spaces.data import data_path
from examples.spoken_digits import BANDS, train_teacher
from examples.spoken_digits import load_splits as all_splits

RECORDINGS = 2280  # of the training split, before its copies
KINDS = ("plain", "separable", "temporal")


def _conv(
    inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)
) -> nn.Sequential:
    padding = ((kernel[0] - 1) // 2, (kernel[1] - 1) // 2)
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


def _layer(kind: str, width: int) -> nn.Sequential:
    if kind == "plain":
        return _conv(width, width, (3, 3))
    if kind == "temporal":
        return _conv(width, width, (9, 1))
    depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
    normal = nn.Sequential(depthwise, nn.BatchNorm2d(width), nn.ReLU())
    return nn.Sequential(normal, _conv(width, width, (1, 1)))


class KindsNet(nn.Module):
    """A convolution that looks over time and frequency, `depth` layers, a mean, a linear classifier."""

    def __init__(self, kind: str, width: int, depth: int) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}, not {kind}")
        # Temporal layers see all bands at once, as channels; a filter of the stem covers them all.
        stem = ((9, BANDS), (2, BANDS)) if kind == "temporal" else ((9, 7), (4, 4))
        first = nn.Conv2d(1, width, stem[0], stem[1], (4, 0 if kind == "temporal" else 3), bias=False)
        self.stem = nn.Sequential(first, nn.BatchNorm2d(width), nn.ReLU())
        self.layers = nn.Sequential(*(_layer(kind, width) for _ in range(depth)))
        self.classifier = nn.Linear(width, 10)

    def forward(self, sound: Tensor) -> Tensor:
        """Logits [N, 10] of log-mel features [N, 1, 49, 40]."""
        return self.classifier(self.layers(self.stem(sound)).mean(dim=(2, 3)))


def build_teacher() -> nn.Module:
    """The untrained teacher."""
    return KindsNet("plain", width=64, depth=4)


def build_student(kind: str = "plain", width: int = 32, depth: int = 2) -> nn.Module:
    """An untrained student."""
    return KindsNet(kind, width, depth)


def load_splits(data: str) -> Splits:
    """Those of the example, with one distorted copy of each recording in place of three and no originals."""
    splits = all_splits(data_path(data, "fsdd.zip"))
    sounds, labels = splits.train.inputs["sound"], splits.train.labels
    rows = slice(RECORDINGS, 2 * RECORDINGS)
    train = Split(inputs={"sound": sounds[rows]}, labels=labels[rows])
    return Splits(train=train, calibration=splits.calibration, validation=splits.validation, test=splits.test)


def workload(data: str = "") -> Workload:
    """The workload; `data` is the zip file or folder of the recordings."""
    return Workload(
        name="spoken-digits-kinds",
        splits=partial(load_splits, data),
        teacher=build_teacher,
        train_teacher=partial(train_teacher, epochs=12),
        student=build_student,
    )
