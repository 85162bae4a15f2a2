"""What the command writes: nothing that fails there reaches a study, and no text steers the terminal."""

import io
import os
import pty
from pathlib import Path

import pytest
from paretune.profiles.errors import UserError
from paretune.reports.terminal import output
from paretune.reports.terminal.console import ConsoleProgress
from paretune.reports.terminal.plan import _masked
from paretune.search.record.evaluation import Masked
from rich.console import Console

STEERS = "\x1b[31mred\x1b]0;title\x07 \x9b2J \u202eabc [bold]x[/bold] [/] :smile: \ud800"


def text_stream(number, encoding="utf-8"):
    return io.TextIOWrapper(
        output.Descriptor(number), encoding=encoding, errors="backslashreplace", write_through=True
    )


@pytest.fixture
def broken_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


def test_a_stream_whose_reader_went_away_loses_what_it_is_given_and_goes_on(broken_pipe):
    stream = text_stream(broken_pipe)
    for _ in range(3):
        stream.write("lost\n")
        stream.flush()
    assert isinstance(stream.buffer.lost, BrokenPipeError)


def test_a_terminal_that_was_closed_and_a_full_disk():
    master, slave = pty.openpty()
    terminal = text_stream(slave)
    assert terminal.isatty()
    os.close(master)
    console = Console(file=terminal, force_terminal=True)
    with ConsoleProgress(console) as progress:
        progress.note("lost")
        progress.stage("lost too")
    assert terminal.buffer.lost.errno
    os.close(slave)
    full = os.open("/dev/full", os.O_WRONLY)
    stream = text_stream(full)
    stream.write("lost")
    assert "space" in stream.buffer.lost.strerror
    os.close(full)


def test_a_stream_that_users_close_stays_open_and_a_signal_may_write_in_between(tmp_path):
    with (tmp_path / "log").open("wb") as file:
        stream = text_stream(file.fileno())
        stream.close()
        stream.write("kept ")
        original = stream.buffer.write
        stream.buffer.write = lambda data: (original(b"(signal) "), original(data))[1]
        stream.write("on \N{SNOWMAN} \ud800")
    assert (tmp_path / "log").read_text(encoding="utf-8") == "kept (signal) on \N{SNOWMAN} \\ud800"


def test_a_pipe_that_another_program_made_non_blocking_gets_all(monkeypatch):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    read = []
    monkeypatch.setattr(output.time, "sleep", lambda _: read.append(os.read(reader, 2**20)))
    text_stream(writer).write("x" * 300_000)
    os.close(writer)
    while read[-1]:
        read.append(os.read(reader, 2**20))
    assert len(b"".join(read)) == 300_000
    os.close(reader)


def test_an_answer_that_was_lost_is_an_error_unless_its_reader_has_seen_enough(monkeypatch, broken_pipe):
    monkeypatch.setattr("sys.stdout", text_stream(broken_pipe))
    output.show("an answer")
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", text_stream(full.fileno()))
        output.tell("a remark")
        with pytest.raises(UserError):
            output.show("an answer")


def written_by(monkeypatch, write):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setattr("sys.stderr", stream)
    write()
    return stream.getvalue()


def progress_notes(text):
    progress = ConsoleProgress(output.console(stderr=True))
    progress.note(text)


@pytest.mark.parametrize(
    "write",
    [
        output.tell,
        output.show,
        progress_notes,
        lambda text: output.show(_masked([Masked(backend=text, what=text, reason=text)])),
    ],
)
def test_texts_of_users_are_shown_and_steer_nothing(monkeypatch, write):
    monkeypatch.setenv("COLUMNS", "300")
    text = written_by(monkeypatch, lambda: write(STEERS))
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\ud800"} & set(text)
    for part in ("red", "abc", "[bold]x[/bold]", ":smile:"):
        assert part in text


@pytest.mark.parametrize("columns", ["0", "1", "5"])
def test_a_terminal_without_columns_is_given_some(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    row = Masked(backend="ort", what="int8", reason="no such instruction")
    assert "instruction" in written_by(monkeypatch, lambda: output.show(_masked([row])))
