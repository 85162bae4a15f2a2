"""Whatever code of others does ends in one error that names their line, and leaves nothing changed."""

from __future__ import annotations

import contextlib
import decimal
import os
import signal
import subprocess
import sys
import textwrap
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from paretune.profiles.errors import StageError, UnsupportedError, UserError
from paretune.profiles.guard import time_limit
from paretune.profiles.guard.time_limit import set_time_limit
from paretune.profiles.guard.user_code import UserCodeError, call, code_lies_in, shown, user_code
from paretune.profiles.guard.user_place import add_home


@pytest.fixture
def theirs(tmp_path):
    """Makes a function `work` of a file of the user's own."""

    def load(text: str):
        path = tmp_path / "job.py"
        path.write_text(textwrap.dedent(text))
        names: dict[str, object] = {}
        exec(compile(path.read_text(), str(path), "exec"), names)
        return names["work"]

    add_home(tmp_path)
    return load


def failure(function, *arguments) -> UserCodeError:
    with pytest.raises(UserCodeError) as found:
        call("their work", function, *arguments)
    return found.value


RAISED = {
    "an error": ("raise ValueError('no such thing')", "ValueError: no such thing"),
    "the end of the process": ("import sys; sys.exit(0)", "SystemExit: 0"),
    "the end, without a word": ("import sys; sys.exit()", "SystemExit"),
    "no Exception": ("class Own(BaseException): pass\n    raise Own('x')", "Own: x"),
    "their own Ctrl-C": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "a generator's end": ("raise GeneratorExit", "GeneratorExit"),
    "an iteration's end": ("next(iter(()))", "StopIteration"),
    "no end": ("work()", "RecursionError"),
    "no memory": ("raise MemoryError", "MemoryError"),
    "many lines": ("raise ValueError('one\\ntwo\\x1b[31m\\n' + 'x' * 10**6)", "ValueError: one two [31m xxx"),
    "an error without a text": (
        "class Own(Exception):\n        def __str__(self): raise ValueError\n    raise Own()",
        "Own: (its text cannot be had: ValueError)",
    ),
    "an error that ends the process when it is shown": (
        "class Own(Exception):\n        def __str__(self): raise SystemExit\n    raise Own()",
        "Own: (its text cannot be had: SystemExit)",
    ),
}


@pytest.mark.parametrize("case", RAISED)
def test_whatever_is_raised_becomes_one_error(theirs, tmp_path, case):
    text, said = RAISED[case]
    error = failure(theirs(f"\ndef work():\n    {text}\n"))
    assert f"their work raised {said}" in str(error)
    assert f"{tmp_path / 'job.py'}, line " in error.place
    assert len(error.cause.splitlines()) == 1
    assert len(str(error)) < 1500
    assert len(error.log) < 5000


def test_it_is_an_error_of_the_user_and_a_failed_stage(theirs):
    error = failure(theirs("def work(*given):\n    return given[7]\n"), np.zeros((3, 2), np.float32), "text")
    assert isinstance(error, UserError)
    assert isinstance(error, StageError)
    assert error.found == "called with argument 1 float32[3, 2], argument 2 'text'"
    assert "line 2" in error.cause


def test_wrong_arguments_are_placed_where_the_function_begins(theirs, tmp_path):
    error = failure(theirs("\n\ndef work(one, two):\n    return one\n"), 1)
    assert error.place == f"{tmp_path / 'job.py'}, line 3"


def test_their_line_is_named_and_not_that_of_a_library_below_their_directory(theirs, tmp_path):
    library = tmp_path / ".venv" / "lib" / "site-packages" / "some.py"
    library.parent.mkdir(parents=True)
    library.write_text("def fail():\n    raise ValueError\n")
    work = theirs(f"import sys\nsys.path.append({str(library.parent)!r})\nfrom some import fail\n"
                  "def work():\n    fail()\n")  # fmt: skip
    assert failure(work).place == f"{tmp_path / 'job.py'}, line 5"


def test_what_ours_raises_on_purpose_passes(theirs):
    from paretune.profiles.text.units import parse_bytes

    with pytest.raises(UserError, match="unit") as found:
        call("their work", parse_bytes, "5 fortnights")
    assert not isinstance(found.value, UserCodeError)
    work = theirs("""
        from paretune.profiles.errors import UnsupportedError, UserError
        def work(kind):
            raise {1: UserError, 2: UnsupportedError}[kind]("theirs")
    """)
    assert failure(work, 1).problem == "theirs"
    assert not isinstance(failure(work, 2), UnsupportedError)


def test_a_real_interrupt_passes(theirs):
    work = theirs(
        "import os, signal\ndef work():\n    os.kill(os.getpid(), signal.SIGINT)\n    while True: pass\n"
    )
    with pytest.raises(KeyboardInterrupt):
        call("their work", work)


def test_guards_within_guards_name_the_innermost(theirs):
    work = theirs("def work():\n    return 1 / 0\n")
    with pytest.raises(UserCodeError, match="inner raised") as found, user_code("outer"):
        call("inner", work)
    assert "outer" not in str(found.value)


def looked_at() -> dict[str, object]:
    return {
        "directory": Path.cwd(),
        "path": list(sys.path),
        "argv": list(sys.argv),
        "streams": (sys.stdout, sys.stderr),
        "descriptors": [os.fstat(number).st_ino for number in (1, 2)],
        "handlers": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
        "filters": [found for found in warnings.filters if found[0] == "error"],
        "reckoning": (np.geterr(), decimal.getcontext().prec, torch.get_default_dtype()),
        "torch": (torch.is_grad_enabled(), str(torch.get_default_device())),
        "depth": sys.getrecursionlimit() >= 1000,
    }


CHANGED = {
    "directory": "import os; os.chdir('/')",
    "removed directory": "import os, tempfile; d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)",
    "import path": "import sys; sys.path.clear()",
    "another import path": "import sys; sys.path = []",
    "arguments": "import sys; sys.argv = []",
    "stream": "import io, sys; sys.stdout = sys.stderr = io.StringIO()",
    "no stream": "import sys; sys.stdout = None",
    "descriptors": "import os; os.close(1); os.close(2)",
    "redirected": "import os; f = os.open('/dev/null', 1); os.dup2(f, 1); os.dup2(f, 2); os.close(f)",
    "handlers": "import signal as s; [s.signal(n, s.SIG_IGN) for n in (s.SIGINT, s.SIGTERM, s.SIGCHLD)]",
    "warnings": "import warnings; warnings.simplefilter('error')",
    "numpy": "import numpy; numpy.seterr(all='raise')",
    "decimal": "import decimal; decimal.getcontext().prec = 2",
    "dtype": "import torch; torch.set_default_dtype(torch.float64)",
    "no gradients": "import torch; torch.set_grad_enabled(False)",
    "device": "import torch; torch.set_default_device('meta')",
    "depth": "import sys; sys.setrecursionlimit(200)",
}


@pytest.mark.parametrize("ending", ["return 1", "raise SystemExit"])
@pytest.mark.parametrize("case", CHANGED)
def test_what_it_changes_is_put_back(theirs, case, ending):
    before = looked_at()
    with contextlib.suppress(UserCodeError):
        call("their work", theirs(f"def work():\n    {CHANGED[case]}\n    {ending}\n"))
    assert looked_at() == before


def test_what_it_adds_to_the_import_path_stays(theirs):
    before = list(sys.path)
    call("their work", theirs("import sys\ndef work():\n    sys.path.insert(0, '/theirs')\n"))
    assert sys.path == ["/theirs", *before]
    sys.path.remove("/theirs")


def test_their_code_works_where_it_went_and_ours_stays(theirs, tmp_path):
    code_lies_in(tmp_path)
    before = Path.cwd()
    call("their import", theirs(f"import os\ndef work():\n    os.chdir({str(tmp_path)!r})\n"))
    assert Path.cwd() == before
    assert call("their splits", Path.cwd) == tmp_path
    assert Path.cwd() == before
    code_lies_in(tmp_path)
    assert call("of another workload", Path.cwd) == before


def test_a_brief_guard_puts_back_what_a_forward_pass_may_change(theirs):
    before = looked_at()
    for case in ("directory", "stream", "dtype", "no gradients"):
        with user_code("forward", brief=True):
            theirs(f"def work():\n    {CHANGED[case]}\n")()
    assert looked_at() == before


def test_values_are_shown_in_a_few_words():
    class Odd:
        @property
        def shape(self):
            raise ValueError

    assert shown(np.zeros((2, 3), np.uint8)) == "uint8[2, 3]"
    assert shown(torch.zeros(4)) == "float32[4]"
    assert shown(Odd()) == "Odd"
    assert shown({"x": np.zeros(2)}) == "{x: float64[2]}"
    assert len(shown("y" * 10**6)) < 80
    assert shown(10**5000) == "int"


@pytest.fixture
def limited():
    yield set_time_limit
    set_time_limit(None)


HANGING = {
    "busy": "while True: pass",
    "asleep": "import time; time.sleep(3600)",
    "waiting": "import threading; threading.Event().wait()",
    "swallowing": "import time\n    try: time.sleep(3600)\n    except BaseException: time.sleep(3600)",
    "matching": "import re; re.match('(a+)+$', 'a' * 60 + 'b')",
}


@pytest.mark.alone
@pytest.mark.parametrize("case", HANGING)
def test_what_hangs_is_interrupted_and_named(theirs, tmp_path, limited, case):
    limited(0.2)
    error = failure(theirs(f"def work():\n    {HANGING[case]}\n"))
    assert "did not end within 0.2 s" in error.problem
    assert error.place.startswith(str(tmp_path / "job.py"))
    assert "guard" in error.remedy


def on_a_thread(work):
    """What comes of it on another thread than the main one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(60)


@pytest.mark.alone
@pytest.mark.parametrize("deed", ["while True: pass", "\n    import time\n    while True: time.sleep(0.01)"])
def test_python_that_hangs_is_interrupted_on_another_thread_too(theirs, tmp_path, limited, deed):
    limited(0.2)
    work = theirs(f"def work():\n    {deed}\n")
    error = on_a_thread(lambda: failure(work))
    assert "did not end within 0.2 s" in error.problem
    assert error.place.startswith(str(tmp_path / "job.py"))


def test_an_interruption_reaches_no_line_that_follows(theirs, limited):
    """However close to the end of a call on another thread it comes."""
    limited(600)
    work = theirs("def work():\n    return sum([number for number in range(50)])\n")
    call("their work", work)  # from here on somebody watches
    ended = threading.Event()

    def calls():
        while not ended.is_set():
            with contextlib.suppress(UserCodeError):
                call("their work", work)

    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(calls)
        for _ in range(30):
            running = time_limit._running
            if running is not None:
                time_limit._interrupt_apart(running)
        ended.set()
        found.result(60)


STUCK = {
    "in C, which lets others run": "import signal as s; s.pthread_sigmask(s.SIG_BLOCK, {s.SIGALRM}); "
    "import threading; threading.Event().wait()",
    "in C, which holds all": "import itertools; sum(itertools.repeat(0))",
}


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("case", STUCK)
def test_what_cannot_be_interrupted_ends_the_process_and_says_where(tmp_path, case):
    (tmp_path / "job.py").write_text(
        "from paretune.profiles.guard.time_limit import set_time_limit\n"
        "from paretune.profiles.guard.user_code import call\n"
        f"def work():\n    {STUCK[case]}\n"
        "set_time_limit(0.3)\n"
        "call('their work', work)\n"
    )
    done = subprocess.run(
        [sys.executable, tmp_path / "job.py"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "job.py" in done.stderr
    assert "line 4" in done.stderr
    assert "Traceback" not in done.stderr
    if "others" in case:
        assert "error: " in done.stderr
        assert "their work did not end within 0.3 s" in done.stderr
