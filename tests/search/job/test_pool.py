"""Which devices of a pool a study can use, by what they say; `tests/board` has real ones."""

import threading

import pytest
from paretune.backends.runner.launch import SshLaunch
from paretune.backends.runner.trouble import Trouble, UnreachableError
from paretune.search.job.pool import _alike
from paretune.search.job.reached import Reached


def away(name):
    raise UnreachableError(SshLaunch(host=name), Trouble.SILENT, found="Connection refused", remedy="look")


def device(instructions="these", remarks=(), **packages):
    def asked(name):
        environment = {"packages": packages}
        launch = SshLaunch(host=name)
        return Reached(
            launch=launch, instructions=instructions, environment=environment, remarks=remarks, device=name
        )

    return asked


def test_those_that_compute_alike_are_used_and_the_others_told():
    devices = {
        "a": away,
        "b": device(runtime="1.0", numpy="1.0", remarks=("few threads",)),
        "c": device("those", runtime="1.0"),
        "d": device(runtime="2.0"),
        "e": device(runtime="1.0", numpy="2.0"),
    }
    found = _alike(tuple(devices), lambda name: devices[name](name), {"runtime"})
    assert (found.device, found.alike) == ("b", ("b", "e"))
    gone, of_c, of_d, own = found.remarks
    assert "a cannot be reached" in gone
    assert "c is left out: it has other instruction sets than b" in of_c
    assert "d is left out: it has other versions (runtime 2.0, 1.0 on b)" in of_d
    assert own == "b: few threads"


def test_where_none_answers_the_first_error_counts():
    with pytest.raises(UnreachableError, match="device a cannot"):
        _alike(("a", "b"), away, ())


def test_all_are_asked_at_the_same_time():
    together = threading.Barrier(3, timeout=30)

    def asked(name):
        together.wait()
        return device()(name)

    assert _alike(("a", "b", "c"), asked, ()).alike == ("a", "b", "c")
