"""TREC question classification: a Transformer encoder of 4 layers, students by layers and width.

The data (Li and Roth 2002) is 5 452 questions to train and the official 500 to test, in six classes. Get
`TREC.train.all` and `TREC.test.all` from the folder data/ of the repository harvardnlp/sent-conv-torch on
GitHub, and name their folder in the study file: `workload: {file: trec.py, options: {data: PATH}}`.

**Length.** Every question is cut or padded to 24 tokens, which all but 1 % of the training questions fit (the
longest test question has 17). ONNX with fixed axes and TFLite run one length, so a question of ten tokens,
half of all have no more, costs as much as one of 24: that is what the study measures. Attention and the mean
leave padding out, so the answer does not depend on it. One artifact per bucket of lengths would save time and
is not done here.

**Words.** Three in five words of the training questions occur once. They, and words never seen, share 512
entries by their last three letters and whether they start with a capital: "Aspen" is known to be a name.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from paretune import Split, Splits, UserError, Workload
from torch import Tensor, nn
from torch.nn import functional as F

LENGTH, CLASSES = 24, 6
WORDS, ENDINGS = 3584, 512  # entries of the embedding: 0 is padding, then endings, then words by frequency
FEWEST = 2  # how often a word must occur in training to have an entry of its own
COPIES = 2  # distorted copies of each training question, beside the question itself
MISSING, HIDDEN = 0.05, 0.2  # share of a copy's words that are left out, and that are taken for rare ones
NAMES = {"train": ("train.txt", "TREC.train.all"), "test": ("test.txt", "TREC.test.all")}
Question = tuple[tuple[str, ...], int]  # words and class


class Attention(nn.Module):
    """Self-attention written out: plain products and one softmax.

    As nn.TransformerEncoderLayer the teacher took 1.6 times as long on ONNX Runtime and on LiteRT.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor, ignore: Tensor) -> Tensor:
        """[N, L, width] to the same; `ignore` [N, 1, 1, L] is 0 for tokens and very negative for padding."""
        batch, length, width = x.shape
        shape = (batch, length, self.heads, width // self.heads)
        query, key, value = (
            layer(x).reshape(shape).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(2, 3) / math.sqrt(shape[3]) + ignore
        return self.out((scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(batch, length, width))


class Layer(nn.Module):
    """Attention and a feed-forward net of twice the width, each normalized before and added to its input."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.feed = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, ignore: Tensor) -> Tensor:
        """[N, L, width] to the same."""
        x = x + self.drop(self.attention(self.norm1(x), ignore))
        return x + self.drop(self.feed(self.norm2(x)))


class Neighbours(nn.Module):
    """Adds to each token what it makes of itself and the tokens beside it: a convolution of three taps.

    Without it models score two points less: 4 300 questions are few for attention to find out which words
    stand together. Written as one product, which stays fast in 8 bits on every runtime.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Linear(3 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[N, L, width] to the same; padding must be 0."""
        before, after = F.pad(x, (0, 0, 1, 0))[:, :-1], F.pad(x, (0, 0, 0, 1))[:, 1:]
        return x + self.mix(torch.cat([before, x, after], dim=2)).relu()


class QuestionNet(nn.Module):
    """Embeddings, a look at neighbouring words, Transformer layers, a mean over the words, a classifier.

    Tokens are embedded in `embedding` numbers and widened by one product: most of a small model is its
    embedding (factorised as in ALBERT, Lan et al. 2020, arXiv:1909.11942).
    """

    def __init__(self, layers: int, width: int, heads: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.tokens = nn.Embedding(1 + ENDINGS + WORDS, embedding, padding_idx=0)
        self.widen = nn.Linear(embedding, width)
        self.positions = nn.Parameter(torch.randn(LENGTH, width) * 0.02)
        self.neighbours = Neighbours(width)
        self.drop = nn.Dropout(dropout)
        self.layers = nn.ModuleList(Layer(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [N, 6] of token numbers [N, L], L at most 24, 0 where a question has ended."""
        known = (tokens != 0).float()
        ignore = (known[:, None, None, :] - 1) * 1e4
        x = self.widen(self.tokens(tokens)) + self.positions[: tokens.shape[1]]
        x = self.drop(self.neighbours(x * known[:, :, None]))
        for layer in self.layers:
            x = layer(x, ignore)
        summed = (known[:, None, :] @ self.norm(x))[:, 0]
        return self.classifier(self.drop(summed / known.sum(dim=1, keepdim=True)))


def build_teacher() -> nn.Module:
    """The untrained teacher: 4 layers, width 256, 8 heads."""
    return QuestionNet(layers=4, width=256, heads=8, embedding=256, dropout=0.3)


def build_student(layers: int = 1, width: int = 64) -> nn.Module:
    """An untrained student with heads of 16 numbers, and embeddings of half its width."""
    return QuestionNet(layers, width, heads=max(1, width // 16), embedding=width // 2, dropout=0.1)


def train_teacher(model: nn.Module, splits: Splits, epochs: int = 7, batch: int = 64) -> None:
    """Train in place: AdamW, one cycle of the learning rate, label smoothing; the best epoch stays."""
    torch.manual_seed(0)
    tokens = torch.from_numpy(splits.train.inputs["tokens"])
    labels = torch.from_numpy(splits.train.labels)
    held = (torch.from_numpy(splits.validation.inputs["tokens"]), torch.from_numpy(splits.validation.labels))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    steps = epochs * math.ceil(len(labels) / batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=steps, pct_start=0.1)
    best, kept = 0.0, model.state_dict()
    for _ in range(epochs):
        model.train()
        for rows in _batches_of_like_length(tokens, batch):
            longest = int((tokens[rows] != 0).sum(dim=1).max())
            loss = F.cross_entropy(model(tokens[rows, :longest]), labels[rows], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            right = float((model(held[0]).argmax(dim=1) == held[1]).float().mean())
        if right >= best:
            best, kept = right, {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(kept)


def _batches_of_like_length(tokens: Tensor, batch: int) -> Iterator[Tensor]:
    """Row numbers: questions of similar length together, so that little padding is computed."""
    lengths = (tokens != 0).sum(dim=1) + torch.rand(len(tokens)) * 2
    batches = list(torch.argsort(lengths).split(batch))
    return (batches[number] for number in torch.randperm(len(batches)))


def read_questions(path: Path) -> list[Question]:
    """Words and class of each line of a file such as `1 What is an atom ?` (latin-1)."""
    rows = [line.split() for line in path.read_text("latin-1").splitlines() if line.strip()]
    return [(tuple(words), int(label)) for label, *words in rows]


def build_vocabulary(questions: list[Question]) -> dict[str, int]:
    """The token of each word (in lower case) that occurs often enough, the most frequent first."""
    counts = Counter(word.lower() for words, _ in questions for word in words)
    often = [word for word, count in counts.most_common(WORDS) if count >= FEWEST]
    return {word: number for number, word in enumerate(often, start=1 + ENDINGS)}


def encode(words: tuple[str, ...], vocabulary: dict[str, int]) -> tuple[int, ...]:
    """Tokens, cut and padded with 0 to `LENGTH`."""
    found = [vocabulary.get(word.lower()) or ending(word) for word in words[:LENGTH]]
    return tuple(found + [0] * (LENGTH - len(found)))


def ending(word: str) -> int:
    """The token that a rare word shares with others of the same ending."""
    text = ("A" if word[0].isupper() else "a") + word.lower()[-3:]
    return 1 + zlib.crc32(text.encode()) % ENDINGS


def distorted(
    words: tuple[str, ...], vocabulary: dict[str, int], random: np.random.Generator
) -> tuple[int, ...]:
    """Tokens of a copy in which a few words are missing and some are taken for rare ones."""
    left = tuple(word for word in words if random.random() > MISSING) or words
    pairs = zip(left, encode(left, vocabulary), strict=False)
    tokens = [ending(word) if random.random() < HIDDEN else token for word, token in pairs]
    return tuple(tokens + [0] * (LENGTH - len(tokens)))


def load_splits(data: Path) -> Splits:
    """500 questions to test, 908 to search, 247 to calibrate, the rest and copies of it to train.

    No two splits share a question, also where two questions differ in rare words alone and give the same
    tokens: it stays in the first of test, validation, calibration and train.
    """
    from sklearn.model_selection import train_test_split

    parts = {"test": read_questions(find_file(data, "test"))}
    rest = read_questions(find_file(data, "train"))
    for name, share in (("validation", 6), ("calibration", 22)):
        labels = [label for _, label in rest]
        count = len(labels) // share
        rest, parts[name] = train_test_split(rest, test_size=count, stratify=labels, random_state=0)
    vocabulary, random = build_vocabulary(rest), np.random.default_rng(0)
    rows = {n: [(encode(words, vocabulary), label) for words, label in p] for n, p in parts.items()}
    rows["train"] = [(encode(words, vocabulary), label) for words, label in rest]
    rows["train"] += [(distorted(words, vocabulary, random), label) for words, label in rest * COPIES]
    return Splits(**without_repeats(rows))


def without_repeats(parts: dict[str, list[tuple[tuple[int, ...], int]]]) -> dict[str, Split]:
    """The splits, each without rows whose tokens an earlier one has."""
    seen: set[tuple[int, ...]] = set()
    splits = {}
    for name, rows in parts.items():
        tokens, labels = zip(*[row for row in rows if row[0] not in seen], strict=True)
        seen.update(tokens)
        splits[name] = Split(inputs={"tokens": np.array(tokens)}, labels=np.array(labels))
    return splits


def find_file(data: Path, split: str) -> Path:
    """The file of a split, under either of its names.

    Raises:
        UserError: it is not there.
    """
    found = [data / name for name in NAMES[split] if (data / name).is_file()]
    if not found:
        raise UserError(
            "the TREC questions are missing",
            place=f"option `data` of {Path(__file__).name}",
            found=f"no {' or '.join(NAMES[split])} in {data}",
            remedy="get TREC.train.all and TREC.test.all from the folder data/ of the repository "
            "harvardnlp/sent-conv-torch on GitHub, and name the folder they are in in the study file: "
            "workload: {file: trec.py, options: {data: PATH}}",
        )
    return found[0]


def workload(data: str = "data/trec") -> Workload:
    """The workload; a relative `data` starts at the folder of this file."""
    folder = Path(__file__).parent / data
    for split in NAMES:
        find_file(folder, split)
    return Workload(
        name="trec",
        splits=lambda: load_splits(folder),
        teacher=build_teacher,
        train_teacher=train_teacher,
        student=build_student,
    )
