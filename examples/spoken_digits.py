"""Spoken digits: a convolutional teacher of 0.55 million parameters, DS-CNN students by width and depth.

The data is the Free Spoken Digit Dataset: 3 000 recordings of ten digits by six speakers, mono at 8 kHz. Get
it from the repository Jakobovski/free-spoken-digit-dataset on GitHub, as a zip file or unpacked, and name
it in the study file: `workload: {file: spoken_digits.py, options: {data: PATH}}`. The test split is the
official one, recordings 0 to 4 of each speaker and digit.

A recording becomes one second around its middle (half of them are shorter than 0.42 s) and 49 x 40 log-mel
values. The device must compute the same: `features` needs numpy alone. The training split is enlarged
once by shifted and noisy copies, so that the teacher's soft targets are computed once too.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from paretune import Split, Splits, UserError, Workload
from scipy.io import wavfile
from torch import Tensor, nn
from torch.nn import functional as F

Signal = NDArray[np.float32]

RATE = 8000  # samples per second; a clip has as many
FRAME, HOP, BANDS = 256, 160, 40  # 32 ms every 20 ms
FLOOR = 1e-5  # energy below which a band counts as silent, of a clip whose loudest sample is 1
MEAN, SPREAD = -8.0, 3.0  # roughly those of the features, so that the model sees values around 0
COPIES, SHIFT, NOISE = 3, 800, 0.02  # per recording; at most in samples, and of the loudest sample
EACH = {"test": range(5), "validation": range(5, 10), "calibration": range(10, 12), "train": range(12, 50)}


def _normal(conv: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU())


def _conv(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return _normal(nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False))


def _separable(width: int) -> nn.Sequential:
    """A filter per channel, then a mixture of channels."""
    depthwise = nn.Conv2d(width, width, kernel_size=3, padding=1, groups=width, bias=False)
    return nn.Sequential(_normal(depthwise), _normal(nn.Conv2d(width, width, kernel_size=1, bias=False)))


class SpeechNet(nn.Module):
    """Convolutions, a mean over time and frequency, a linear classifier."""

    def __init__(self, layers: list[nn.Sequential], width: int, dropout: float) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, 10)

    def forward(self, sound: Tensor) -> Tensor:
        """Logits [N, 10] of log-mel features [N, 1, 49, 40]."""
        return self.classifier(self.dropout(self.features(sound).mean(dim=(2, 3))))


def build_teacher() -> nn.Module:
    """The untrained teacher: six 3 x 3 convolutions in three stages."""
    channels, inputs, layers = (32, 64, 200), 1, []
    for outputs in channels:
        layers += [_conv(inputs, outputs, stride=2), _conv(outputs, outputs, stride=1)]
        inputs = outputs
    return SpeechNet(layers, inputs, dropout=0.3)


def build_student(width: int = 64, depth: int = 4) -> nn.Module:
    """An untrained DS-CNN: one convolution of 10 x 8, then `depth` separable ones, all of `width` channels.

    The shape of Zhang et al. 2017 (arXiv:1711.07128), for 40 bands in place of 10 coefficients.
    """
    stem = _normal(nn.Conv2d(1, width, kernel_size=(10, 8), stride=(2, 4), padding=(4, 2), bias=False))
    return SpeechNet([stem, *(_separable(width) for _ in range(depth))], width, dropout=0.0)


def train_teacher(model: nn.Module, splits: Splits, epochs: int = 5, batch: int = 64) -> None:
    """Train in place: SGD with momentum, one cycle of the learning rate, label smoothing."""
    torch.manual_seed(0)
    sounds = torch.from_numpy(splits.train.inputs["sound"])
    labels = torch.from_numpy(splits.train.labels)
    steps = epochs * math.ceil(len(labels) / batch)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=steps, pct_start=0.2)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(labels)).split(batch):
            loss = F.cross_entropy(model(sounds[rows]), labels[rows], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One file `digit_speaker_index.wav`; samples between -1 and 1."""

    digit: int
    speaker: str
    index: int
    signal: Signal


def read_recordings(data: Path) -> list[Recording]:
    """All recordings of a zip file or folder, in the order of their names.

    Raises:
        UserError: nothing is there, or nothing that is named like a recording.
    """
    files = sorted(_wav_files(data)) if data.exists() else []
    if not files:
        raise UserError(
            "the spoken digits are missing",
            place=f"option `data` of {Path(__file__).name}",
            found=f"no recordings such as 7_jackson_32.wav in {data}" if data.exists() else f"no {data}",
            remedy="get the repository Jakobovski/free-spoken-digit-dataset on GitHub as a zip file or a "
            "folder, and name it in the study file: "
            "workload: {file: spoken_digits.py, options: {data: PATH}}",
        )
    return [_recording(name, content) for name, content in files]


def _wav_files(data: Path) -> Iterator[tuple[str, bytes]]:
    if data.is_dir():
        yield from ((path.stem, path.read_bytes()) for path in data.rglob("*_*_*.wav"))
        return
    with zipfile.ZipFile(data) as archive:
        for name in archive.namelist():
            if Path(name).match("*_*_*.wav"):
                yield Path(name).stem, archive.read(name)


def _recording(name: str, content: bytes) -> Recording:
    rate, samples = wavfile.read(io.BytesIO(content))
    if rate != RATE or samples.dtype != np.int16 or samples.ndim != 1:
        raise UserError(
            "not a recording of this data set",
            place=f"{name}.wav",
            found=f"{rate} Hz, {samples.dtype}, {samples.ndim} dimensions",
            accepted=f"{RATE} Hz, 16 bits, mono",
        )
    digit, speaker, index = name.split("_")
    return Recording(digit=int(digit), speaker=speaker, index=int(index), signal=_scaled(samples))


def _scaled(samples: NDArray[np.int16]) -> Signal:
    signal = samples.astype(np.float32)
    return signal / max(1.0, float(np.abs(signal).max(initial=0)))


def clip(signal: Signal, shift: int = 0) -> Signal:
    """One second around the middle of a signal, `shift` samples later; silence where it has ended."""
    padded = np.pad(signal, RATE)
    start = len(padded) // 2 - RATE // 2 + shift
    return padded[start : start + RATE]


def mel_filters() -> Signal:
    """Triangles [FRAME + 1, BANDS] over the bins of a spectrum, spaced evenly in mel from 60 Hz to 4 kHz."""
    mel = np.linspace(1127 * np.log1p(60 / 700), 1127 * np.log1p(RATE / 2 / 700), BANDS + 2)
    corners = 700 * np.expm1(mel / 1127)
    bins = np.linspace(0, RATE / 2, FRAME + 1)[:, None]
    rising = (bins - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - bins) / (corners[2:] - corners[1:-1])
    return np.clip(np.minimum(rising, falling), 0, None).astype(np.float32)


def features(clips: Signal) -> Signal:
    """Log-mel features [N, 1, 49, 40] of clips [N, 8000]."""
    frames = np.lib.stride_tricks.sliding_window_view(clips, FRAME, axis=1)[:, ::HOP]
    spectrum = np.fft.rfft(frames * np.hanning(FRAME).astype(np.float32), n=2 * FRAME)
    energy = (np.abs(spectrum) ** 2 / FRAME).astype(np.float32) @ mel_filters()
    return ((np.log(energy + FLOOR) - MEAN) / SPREAD)[:, None].astype(np.float32)


def load_splits(data: Path) -> Splits:
    """Of each speaker and digit 38 recordings to train (four times that with copies), 2 to calibrate, 5 to
    search and 5 to test: 9 120, 120, 300 and 300."""
    recordings = read_recordings(data)
    random = np.random.default_rng(0)
    splits = {}
    for name, indices in EACH.items():
        chosen = [recording for recording in recordings if recording.index in indices]
        clips = [clip(recording.signal) for recording in chosen]
        copies = COPIES if name == "train" else 0
        clips += [_distorted(recording.signal, random) for recording in chosen * copies]
        labels = np.array([recording.digit for recording in chosen], dtype=np.int64)
        splits[name] = Split(inputs={"sound": features(np.stack(clips))}, labels=np.tile(labels, copies + 1))
    return Splits(**splits)


def _distorted(signal: Signal, random: np.random.Generator) -> Signal:
    """A clip shifted by up to a tenth of a second, with up to 2 % of white noise."""
    moved = clip(signal, int(random.integers(-SHIFT, SHIFT + 1)))
    loudness = random.uniform(0, NOISE)
    return moved + random.normal(0, loudness, RATE).astype(np.float32)


def workload(data: str = "data/fsdd.zip") -> Workload:
    """The workload; a relative `data` starts at the folder of this file."""
    path = Path(__file__).parent / data
    if not path.exists():
        read_recordings(path)  # says what is missing before anything else is done
    return Workload(
        name="spoken-digits",
        splits=lambda: load_splits(path),
        teacher=build_teacher,
        train_teacher=train_teacher,
        student=build_student,
    )
