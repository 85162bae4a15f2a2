"""Digits of scikit-learn and small nets: seconds of real training, conversion and measuring."""

import numpy as np
import torch
from paretune import Split, Splits, Workload
from torch import nn


def load():
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[:, None]
    order, start, parts = np.random.default_rng(0).permutation(len(images)), 0, {}
    for name, count in (("train", 900), ("calibration", 100), ("validation", 400), ("test", 397)):
        rows = order[start : start + count]
        parts[name] = Split(inputs={"image": images[rows]}, labels=digits.target[rows].astype(np.int64))
        start += count
    return Splits(**parts)


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, width, 3, 2, 1), nn.Conv2d(width, 2 * width, 3, 2, 1)
        self.head = nn.Linear(2 * width, 10)

    def forward(self, image):
        hidden = torch.relu(self.second(torch.relu(self.first(image))))
        return self.head(hidden.mean(dim=(2, 3)))


def teacher():
    return Net(48)


def train_teacher(model, splits):
    torch.manual_seed(0)
    images, labels = torch.from_numpy(splits.train.inputs["image"]), torch.from_numpy(splits.train.labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(12):
        for rows in torch.randperm(len(labels)).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
            optimizer.step()


workload = Workload(name="digits", splits=load, teacher=teacher, train_teacher=train_teacher, student=Net)
