"""Files over a slow line: in chunks, each once, with little in memory."""

import tempfile

import numpy as np
from paretune.backends.runner import transfer
from paretune.backends.runner.frames import Message
from paretune.backends.runner.operations import Runner
from paretune.backends.runner.reading import Reply
from paretune.backends.runner.transfer import MOST_CHUNK, Transfer


class There:
    """A runner's own operations, asked without a line between; each takes so many seconds per byte."""

    def __init__(self, folder, monkeypatch, seconds_per_byte=0.0):
        self.runner, self.now, self.pace, self.sizes = Runner(str(folder)), 0.0, seconds_per_byte, []
        monkeypatch.setattr(transfer.time, "monotonic", lambda: self.now)
        # A runner on a device has its own folder for temporary files, and so has its whole process.
        monkeypatch.setenv("TMPDIR", tempfile.gettempdir())
        monkeypatch.setattr("tempfile.tempdir", None)

    def ask(self, operation, seconds, body=None, arrays=None, *, most=0):
        answer = self.runner.answer(Message(body={**body, "do": operation}, arrays=arrays or {}))
        assert "error" not in answer.body, answer.body
        size = sum(array.nbytes for array in (*(arrays or {}).values(), *answer.arrays.values()))
        self.sizes.append(size)
        self.now += self.pace * size
        found = {"device": "board", "operation": operation, "stage": "measure"}
        return Reply(**found, body=answer.body, arrays=answer.arrays)


def files(there):
    return Transfer(there.ask, 60.0, shares_files=False)


def test_a_file_goes_there_and_comes_back(tmp_path, monkeypatch):
    for size in (0, 1, 2**18, 3 * 2**20 + 7):
        source, back = tmp_path / f"{size}", tmp_path / "back"
        source.write_bytes(np.random.default_rng(0).bytes(size))
        there = There(tmp_path, monkeypatch)
        path = files(there).put(source)
        files(there).fetch(path, back, size)
        assert back.read_bytes() == source.read_bytes()
        files(there).fetch(path, back, size // 2)
        assert back.stat().st_size == size // 2
        there.runner.files.clear()


def test_chunks_are_as_large_as_the_line_is_quick(tmp_path, monkeypatch):
    source = tmp_path / "large"
    source.write_bytes(bytes(2**23))
    quick, slow = There(tmp_path, monkeypatch), There(tmp_path, monkeypatch, 1 / 20_000)
    files(quick).put(source)
    assert max(quick.sizes) <= MOST_CHUNK
    assert len(quick.sizes) < 10
    files(slow).put(source)
    assert max(slow.sizes[2:]) < 60 * 20_000, "each within its time on a line of 20 kB/s"
    for there in (quick, slow):
        there.runner.files.clear()


def test_each_file_is_sent_once_and_a_folder_stays_together(tmp_path, monkeypatch):
    folder = tmp_path / "found"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_text(name)
    there = There(tmp_path, monkeypatch)
    sent = files(there)
    where = sent.put_folder(folder)
    assert sent.put_folder(folder) == where
    assert len(there.sizes) == 2
    there.runner.files.clear()
