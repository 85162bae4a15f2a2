"""A week of nights in one go: each a real `paretune nightly` process, and something befalls most of them.

    python -m benchmarks.week_of_nights --out week

The model is small and the backend is the tests' toy: its latencies are a formula, so that nothing depends on
how busy this machine is. The device is one behind a real sshd of its own on loopback, which can be switched
off. What each night's verdict and exit code must be is known beforehand; the table says whether they are so.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml
from paretune.search.nights.history import NightsFolder
from paretune.search.nights.night import NightStatus

from tests.board.access import Access
from tests.board.native import NativeBoard

S = NightStatus
WORKLOAD = """
import numpy as np
import torch
from torch import nn
from paretune import Split, Splits, Workload

TEST_SEED = 4  # of the samples of the test split


def _split(count, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    centres = np.random.default_rng(0).normal(size=(4, 8)) * 1.6
    x = (centres[labels] + rng.normal(size=(count, 8))).astype(np.float32)
    return Split(inputs={"x": x}, labels=labels.astype(np.int64))


def splits():
    return Splits(train=_split(400, 1), calibration=_split(60, 2), validation=_split(400, 3),
                  test=_split(800, TEST_SEED))


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        return self.head(self.body(x))


def teacher():
    torch.manual_seed(0)
    return Net(64)


def train_teacher(model, splits):
    x, y = torch.from_numpy(splits.train.inputs["x"]), torch.from_numpy(splits.train.labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


workload = Workload(name="blobs", splits=splits, teacher=teacher, train_teacher=train_teacher,
                    student=lambda width: Net(width))
"""
TIDIED = ("for _ in range(60):", "for step in range(60):")
REDRAWN = ("TEST_SEED = 4 ", "TEST_SEED = 44")
LOSSY = ("lambda width: Net(width)", "lambda width: Net(width // 4)")
BROKEN = ("def teacher():\n", "def teacher():\n    raise RuntimeError('the weights are not there')\n")
STUDY = {
    "name": "blobs",
    "workload": "blobs.py",
    "profile": "board.yaml",
    "space": {
        "student": {"width": [8]},
        "precision": ["fp32", "int8"],
        "backend": ["toy"],
        "calibration": {"samples": [16]},
        "distill": {"weight": [0.7]},
    },
    "training": {"epochs": 3, "learning_rate": 0.01, "batch": 32},
    "budget": {"trials": 3},
    "ladder": "never",
    "measure": {"rounds": 9, "finalist_rounds": 9, "processes": 3},
    "guard": {"patience": "2 s"},
    "finalists": 1,
}
FILE_LIMIT = 60_000


@dataclass(frozen=True)
class Planned:
    """A night: what happens before it, and how it must end. `how` runs it where that is not the command."""

    title: str
    status: NightStatus
    exit_code: int
    before: Callable[[Week], None] = lambda week: None
    after: Callable[[Week], None] = lambda week: None
    how: Callable[[Week], int] | None = None


class Week:
    """A folder with a study, its device, and commands as a timer would run them."""

    def __init__(self, folder: Path, board: NativeBoard, access: Access) -> None:
        self.folder, self.board = folder, board
        self.study, self.workload = folder / "blobs.yaml", folder / "blobs.py"
        self.nights = NightsFolder(folder / "nights" / "blobs")
        self.log = folder / "week.log"
        self.variables = {
            **os.environ,
            "PATH": access.path,
            "PARETUNE_TOY": "1",
            "OMP_NUM_THREADS": "1",
            "PARETUNE_LEASE_DIR": str(folder / "lease"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        (folder / "lease").mkdir(parents=True, exist_ok=True)
        self.workload.write_text(WORKLOAD)
        self.study.write_text(yaml.safe_dump(STUDY, sort_keys=False))
        board.set(PARETUNE_TOY="1")
        board.write_profile(folder)
        self._git("init", "-q")
        self.commit("The study")

    def commit(self, subject: str) -> None:
        self._git("add", "blobs.py", "blobs.yaml")
        self._git("-c", "user.name=week", "-c", "user.email=week@example.org", "commit", "-qm", subject)

    def _git(self, *arguments: str) -> None:
        subprocess.run(["git", "-C", self.folder, *arguments], check=False, capture_output=True)

    def edit(self, change: tuple[str, str], subject: str) -> None:
        text = self.workload.read_text()
        assert change[0] in text
        self.workload.write_text(text.replace(*change))
        self.commit(subject)

    def start(self, *options: str, limit: bool = False) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "paretune.cli", "nightly", self.study.name, *options]
        preexec = _small_files if limit else None
        return subprocess.Popen(
            command, cwd=self.folder, env=self.variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, preexec_fn=preexec,
        )  # fmt: skip

    def ended(self, process: subprocess.Popen[str]) -> int:
        said, _ = process.communicate(timeout=600)
        with self.log.open("a") as log:
            log.write(f"{said}exit code {process.returncode}\n\n")
        return process.returncode

    def run(self, *options: str, limit: bool = False) -> int:
        return self.ended(self.start(*options, limit=limit))

    def killed(self) -> int:
        """A night that is killed once it has told two trials."""
        process, told = self.start(), 0
        for line in process.stdout:
            told += " complete " in line
            if told == 2:
                process.send_signal(signal.SIGKILL)
                break
        return self.ended(process)

    def two_at_once(self) -> int:
        """A second night while the first one is at work: that of the second counts."""
        first = self.start()
        while self.nights.under_way is None and first.poll() is None:
            time.sleep(0.05)
        second = self.run("--json", "second.json")
        assert json.loads((self.folder / "second.json").read_text())["status"] == S.SKIPPED.value
        assert self.ended(first) == 0
        return second


def _small_files() -> None:
    """No file may grow beyond that: a full disk, as each process sees it."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT, FILE_LIMIT))


def _back(week: Week) -> None:
    week.workload.write_text(WORKLOAD.replace(*TIDIED).replace(*REDRAWN))
    week.commit("Back to what was good")


def _clock_set(week: Week) -> None:
    """Last night's record says that it began in the future: the clock was set back since."""
    last = week.nights.folder(week.nights.numbers()[-1]) / "night.json"
    plain = json.loads(last.read_text())
    last.write_text(json.dumps({**plain, "began": "2099-01-01T02:00:00+00:00"}))


def _torn(week: Week) -> None:
    """Half of a record is left of one night."""
    record = week.nights.folder(2) / "night.json"
    record.write_bytes(record.read_bytes()[:500])


NIGHTS = (
    Planned("the first night", S.GOOD, 0),
    Planned("a quiet night", S.GOOD, 0),
    Planned("other code, the same model", S.GOOD, 0, lambda w: w.edit(TIDIED, "Tidy the training loop")),
    Planned("other data", S.GOOD, 0, lambda w: w.edit(REDRAWN, "Draw the test split anew")),
    Planned("the device is slower (int8 by 12 %)", S.REGRESSED, 2, lambda w: w.board.set(TOY_SLOWER="1.12")),
    Planned("the device is as it was", S.GOOD, 0, lambda w: w.board.set(TOY_SLOWER="1")),
    Planned("accuracy is lost by other code", S.REGRESSED, 2, lambda w: w.edit(LOSSY, "Thinner students")),
    Planned("the code is reverted", S.GOOD, 0, _back),
    Planned("the device is off", S.SKIPPED, 0, lambda w: w.board.down(), lambda w: w.board.up()),
    Planned("the disk is full", S.FAILED, 1, how=lambda w: w.run(limit=True)),
    Planned("the workload raises", S.FAILED, 1, lambda w: w.edit(BROKEN, "Load weights"), _back),
    Planned(
        "killed in its middle", S.KILLED, -signal.SIGKILL,
        lambda w: w.edit(("lr=0.01", "lr=0.011"), "Tune the learning rate"), how=Week.killed,
    ),
    Planned("resumed after that", S.GOOD, 0),
    Planned("two at once", S.GOOD, 0, how=Week.two_at_once),
    Planned("the clock was set back, and a record is torn", S.GOOD, 0, lambda w: (_clock_set(w), _torn(w))),
)  # fmt: skip


def row(number: int, planned: Planned, code: int, week: Week) -> list[str]:
    night = week.nights.read().of(number)
    status = "(the next night says)" if night is None else night.status.value
    said = "" if night is None else night.headline
    as_planned = code == planned.exit_code and (night is None or night.status is planned.status)
    return [str(number), planned.title, status, str(code), said, "yes" if as_planned else "NO"]


def main() -> None:
    """Live through the week; the table is also in `week.md`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--most", type=int, default=len(NIGHTS), help="so many nights alone")
    asked = parser.parse_args()
    folder = asked.out.resolve()
    folder.mkdir(parents=True)
    access = Access(folder / "access")
    table = [["night", "what befell it", "status", "exit code", "verdict", "as it must be"]]
    with NativeBoard(folder / "board", access) as board:
        week = Week(folder, board, access)
        for number, planned in enumerate(NIGHTS[: asked.most], 1):
            planned.before(week)
            code = week.run() if planned.how is None else planned.how(week)
            planned.after(week)
            table.append(row(number, planned, code, week))
            print(" | ".join(table[-1]), flush=True)
    for cells in table[1:]:  # what only the next night could say of it
        night = week.nights.read().of(int(cells[0]))
        if night is not None:
            cells[2] = night.status.value
            cells[4] = night.headline
    lines = [f"| {' | '.join(cells)} |" for cells in table]
    text = "\n".join([lines[0], "|---" * len(table[0]) + "|", *lines[1:]])
    (folder / "week.md").write_text(text + "\n")
    print(text)
    raise SystemExit(any(cells[-1] != "yes" for cells in table[1:]))


if __name__ == "__main__":
    main()
