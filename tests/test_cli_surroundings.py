"""The command among closed streams, few descriptors, small limits and users without a home: cheap commands,
each in a process of its own."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

MAIN = "from paretune.cli import main; import sys; sys.argv[0] = 'paretune'; main()"


def command(*arguments, before="", shell="", **more):
    """Run `paretune ARGUMENTS`; `before` is Python that runs first, `shell` what the shell adds to it."""
    quoted = " ".join([f'"{sys.executable}"', "-c", f'"{before}{MAIN}"', *arguments, shell])
    return subprocess.run(["/bin/sh", "-c", quoted], capture_output=True, text=True, timeout=60, **more)


def environment(**changes):
    """This process's variables with some changed; None takes one away."""
    merged = {**os.environ, **changes}
    return {name: value for name, value in merged.items() if value is not None}


@pytest.mark.parametrize("shell", [">&-", "2>&-", "<&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_streams_that_are_closed_or_full_change_no_exit_code(shell):
    assert command("--version", shell=shell).returncode == 0
    failed = command("devices", "nonsense", shell=shell)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr


def test_a_closed_stream_is_not_taken_by_the_next_file_that_is_opened(tmp_path):
    """Else libraries would print into it: the study's database, say."""
    opens = (
        "from paretune.profiles.standard_descriptors import open_standard_descriptors as o; o(); "
        f"f = open('{tmp_path}/db', 'w'); import os; os.write(1, b'out'); os.write(2, b'err'); "
    )
    done = command("--version", before=opens, shell=">&- 2>&-")
    assert done.returncode == 0
    assert (tmp_path / "db").read_text() == ""


def test_an_answer_that_does_not_arrive_is_an_error_and_a_reader_who_has_enough_is_none():
    full = command("--version", shell=">/dev/full")
    assert full.returncode == 1
    assert "No space left" in full.stderr
    remarked = command("--help", shell=">/dev/full")
    assert (remarked.returncode, "No space left" in remarked.stderr) == (0, True)
    done = command("devices", shell="| head -1; echo end >&2")
    assert (done.returncode, done.stderr) == (0, "end\n")


@pytest.mark.parametrize(
    "changes",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"COLUMNS": "0"},
        {"HOME": "/nonexistent", "TMPDIR": "/nonexistent", "PYTHONOPTIMIZE": "2"},
        {"TERM": "dumb", "FORCE_COLOR": "1"},
    ],
)
def test_variables_that_are_missing_or_odd(changes):
    done = command("backends", env=environment(**changes))
    assert (done.returncode, done.stderr) == (0, "")
    assert "toy" in done.stdout


def test_a_user_without_a_home_whom_the_system_does_not_know(tmp_path):
    nobody = "import pwd; pwd.getpwuid = lambda _: {}[1]; "
    host = "import paretune.profiles.devices.host as host; "
    measures = f"{host}host._run = lambda _: dict(fp32=dict(value=1, source='it')); "
    homeless = environment(HOME=None, XDG_CACHE_HOME=None)
    assert command("devices", before=nobody + measures, env=homeless, cwd=tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []
    done = command("devices", "'~/mine.yaml'", before=nobody, env=homeless, cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "mine.yaml" in done.stderr


@pytest.mark.parametrize(("limit", "said"), [("STACK", "ulimit -s"), ("AS", "ulimit -v")])
def test_small_limits_are_named(limit, said):
    """A stack of 64 kB; 4 MB of addresses more than the command has before it loads anything."""
    used = "int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()"
    value = "2 ** 16" if limit == "STACK" else f"{used} + 2 ** 22"
    before = f"import resource, paretune.cli; resource.setrlimit(resource.RLIMIT_{limit}, ({value},) * 2); "
    done = command("plan", "missing.yaml", before=before, env=environment(OPENBLAS_NUM_THREADS="1"))
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_working_directory_that_was_removed(tmp_path):
    gone = tmp_path / "gone"
    before = f"import os; os.makedirs('{gone}'); os.chdir('{gone}'); os.rmdir('{gone}'); "
    for arguments in (["plan", "study.yaml"], ["init"]):
        done = command(*arguments, before=before)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr


def test_no_place_for_temporary_files():
    nowhere = "import tempfile; tempfile._candidate_tempdir_list = lambda: ['/proc/nowhere']; "
    done = command("plan", "study.yaml", before=nowhere)
    assert done.returncode == 1
    assert "TMPDIR" in done.stderr


def test_a_bug_is_one_message_and_its_traceback_a_file(tmp_path):
    broken = "import paretune.reports.terminal.backends as d; d.backends_text = lambda _: {}['pid']; "
    done = command("backends", before=broken, env=environment(TMPDIR=str(tmp_path)))
    assert done.returncode == 1
    assert "please report it: KeyError: 'pid'" in done.stderr
    assert "Traceback" not in done.stderr
    (kept,) = tmp_path.glob("paretune-error-*.txt")
    assert "Traceback" in kept.read_text()


def test_an_interrupt_that_a_library_sends_itself_is_told_apart_where_it_can_be():
    """OpenBLAS does where it gets no thread."""
    raised = "import signal, paretune.reports.terminal.backends as d; "
    raised += "d.backends_text = lambda _: signal.raise_signal(2); "
    no_thread = "import threading; threading.Thread.start = lambda _: (_ for _ in ()).throw(RuntimeError()); "
    assert command("backends", before=raised).stderr == "interrupted\n"
    done = command("backends", before=raised + no_thread)
    assert done.returncode == 1
    assert "ulimit -u" in done.stderr
