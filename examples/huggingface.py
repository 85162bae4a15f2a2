"""A text classifier of Hugging Face transformers as teacher; students are derived from it by pruning.

Options in the study file:

- `model`: a name on the hub, or a folder made by `save_pretrained`, with its tokenizer; read from the local
  cache where there is no network. `data` then names the folder of the TREC questions, see trec.py;
- without `model`: a small BERT with random weights, and a task that needs no download: scikit-learn's
  `load_digits` read as sentences of 16 words, each of which says which of four pixels are bright;
- `epochs`: how long the teacher is trained on the data (0: it is trained already).

For texts of your own, write a function that returns them as `read_trec` does.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from paretune import Split, Splits, Workload
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision_import import prepare_torchvision
from trec import find_file, read_questions, without_repeats

LENGTH = 24  # tokens of a question; longer ones are cut
SMALL = {  # a BERT that trains in a minute on one core
    "vocab_size": 17,  # padding and 16 patterns of four pixels
    "hidden_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "intermediate_size": 192,
    "max_position_embeddings": 16,
}
Rows = list[tuple[tuple[int, ...], int]]  # token numbers, all of one length, and class


class Classifier(nn.Module):
    """A model of transformers whose inputs have names and whose output is the logits alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits [N, classes] of token numbers [N, L] and a mask [N, L], 0 where a text has ended."""
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def build_teacher(model: str) -> nn.Module:
    """The teacher: named weights, or a small BERT with random ones.

    Plain ("eager") attention exports to every format, and pruning can follow it.
    """
    prepare_torchvision()  # some models import it
    from transformers import AutoModelForSequenceClassification, BertConfig

    auto = AutoModelForSequenceClassification
    if model:
        return Classifier(auto.from_pretrained(model, num_labels=6, attn_implementation="eager"))
    config = BertConfig(**SMALL, num_labels=10)
    return Classifier(auto.from_config(config, attn_implementation="eager"))


def train_teacher(model: nn.Module, splits: Splits, epochs: int, rate: float, batch: int = 32) -> None:
    """Train in place: AdamW with one cycle of the learning rate."""
    torch.manual_seed(0)
    inputs = [torch.from_numpy(array) for array in splits.train.inputs.values()]
    labels = torch.from_numpy(splits.train.labels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    steps = epochs * len(labels.split(batch))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=steps, pct_start=0.1)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(labels)).split(batch):
            loss = F.cross_entropy(model(*(tensor[rows] for tensor in inputs)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def read_digits() -> tuple[Rows, Rows, int]:
    """Sentences to learn from, sentences to test, and the number that stands for padding."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    bright = (digits.images > 6).astype(int).reshape(-1, 4, 2, 4, 2)  # of a picture: row, y, column, x
    sentences = 1 + np.einsum("nyaxb,ab->nyx", bright, [[1, 2], [4, 8]]).reshape(len(bright), 16)
    rows = [
        (tuple(words), int(label)) for words, label in zip(sentences.tolist(), digits.target, strict=True)
    ]
    return rows[360:], rows[:360], 0


def read_trec(data: Path, model: str) -> tuple[Rows, Rows, int]:
    """The TREC questions in the tokens of the model, as `read_digits` returns its sentences."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    parts = []
    for split in ("train", "test"):
        questions = read_questions(find_file(data, split))
        ids = tokenizer(
            [" ".join(words) for words, _ in questions],
            padding="max_length",
            truncation=True,
            max_length=LENGTH,
        )["input_ids"]
        parts.append([(tuple(row), label) for row, (_, label) in zip(ids, questions, strict=True)])
    return parts[0], parts[1], tokenizer.pad_token_id


def load_splits(data: Path, model: str) -> Splits:
    """Of what is there to learn from, two thirds to train, a ninth to calibrate, the rest to search."""
    from sklearn.model_selection import train_test_split

    rest, test, padding = read_trec(data, model) if model else read_digits()
    parts = {"test": test}
    for name, share in (("validation", 4.5), ("calibration", 7)):
        labels = [label for _, label in rest]
        count = round(len(rest) / share)
        rest, parts[name] = train_test_split(rest, test_size=count, stratify=labels, random_state=0)
    splits = without_repeats({**parts, "train": rest})
    return Splits(**{name: _with_mask(split, padding) for name, split in splits.items()})


def _with_mask(split: Split, padding: int) -> Split:
    ids = split.inputs["tokens"]
    mask = (ids != padding).astype(np.int64)
    return Split(inputs={"input_ids": ids, "attention_mask": mask}, labels=split.labels)


def workload(model: str = "", data: str = "data/trec", epochs: int = 20, rate: float = 2e-3) -> Workload:
    """The workload; a relative `data` starts at the folder of this file.

    Raises:
        UserError: a model is named and its data is missing.
    """
    folder = Path(__file__).parent / data
    if model:
        find_file(folder, "train")
    return Workload(
        name="huggingface",
        splits=lambda: load_splits(folder, model),
        teacher=lambda: build_teacher(model),
        train_teacher=(lambda net, splits: train_teacher(net, splits, epochs, rate)) if epochs else None,
    )
