"""The file that tells where a run's study is stored: whatever stands in it, one message or the study."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from paretune.profiles.errors import UserError
from paretune.search.storage.run_file import RunFile, read_run_file, write_run_file
from paretune.search.storage.url import StorageUrl


def test_what_was_written_is_read_without_passwords(tmp_path: Path) -> None:
    url = StorageUrl.written("postgresql+psycopg2://me:hunter2@h/x?sslmode=require", tmp_path)
    run = RunFile(
        name="a", storage=url, study_file=tmp_path / "ü\udcff.yaml", store=tmp_path / "s", own=False
    )
    write_run_file(tmp_path, run)
    assert "hunter2" not in (tmp_path / "run.json").read_text()
    assert (tmp_path / "run.json").stat().st_mode & 0o777 == 0o600
    found = read_run_file(tmp_path)
    assert (found.name, found.study_file, found.store) == ("a", run.study_file, run.store)
    assert found.storage.kept == url.kept


def test_a_study_of_its_own_moves_with_its_directory(tmp_path: Path) -> None:
    here, there = tmp_path / "here?", tmp_path / "there#%41"
    here.mkdir()
    own = StorageUrl.of_file(here / "study.db")
    write_run_file(here, RunFile(name="a", storage=own, study_file=here, store=here, own=True))
    here.rename(there)
    assert read_run_file(there).storage.file == there / "study.db"


TEXTS = [
    "", "{", "[]", "5", "null", '"x"', "{}", "[" * 99_999, "\ufeff{}", "9" * 5000,
    '{"name": 5}',
    '{"name": "", "storage": ""}',
    '{"name": "a", "storage": 5}',
    '{"name": "a", "storage": ["x"]}',
    '{"name": "a", "storage": "nonsense"}',
    '{"name": "a\\u0000", "storage": ""}',
    '{"name": "a", "storage": "", "study_file": {}}',
    '{"name": "a", "storage": "", "store": "\\ud800"}',
    '{"name": "a", "storage": "postgresql://me:hunter2"}',
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_no_run_file_is_one_message(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError) as caught:
        read_run_file(tmp_path)
    assert "run.json" in caught.value.place
    assert "hunter2" not in str(caught.value)


def piped(file: Path) -> None:
    os.mkfifo(file)


def huge(file: Path) -> None:
    with file.open("wb") as opened:
        opened.truncate(10**12)


@pytest.mark.parametrize(
    "make",
    [
        piped,
        huge,
        Path.mkdir,
        lambda file: file.symlink_to(file),
        lambda file: file.symlink_to("/dev/zero"),
        lambda file: file.symlink_to("/nowhere"),
        lambda file: file.write_bytes(b"\xff\xfe"),
    ],
)
def test_what_is_no_file_is_one_message_at_once(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "run.json")
    began = time.monotonic()
    with pytest.raises(UserError):
        read_run_file(tmp_path)
    assert time.monotonic() - began < 60


def test_a_directory_without_a_run_is_told_as_that(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "none", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="no run here"):
            read_run_file(place)
