"""What the system refuses is named with the limit on it and what to do; a bug of ours is not."""

import errno
import resource

import pytest
from paretune.profiles import system_trouble
from paretune.profiles.devices.host import default_cache, measured_figures
from paretune.profiles.devices.machine import read_machine
from paretune.profiles.errors import UserError
from paretune.profiles.system_trouble import FILES, MEMORY, THREADS, explained, refusal


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.EMFILE, "Too many open files"), FILES),
        (OSError(errno.ENFILE, "Too many open files in system"), FILES),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), MEMORY),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), THREADS),
        (MemoryError(), MEMORY),
        (RuntimeError("can't start new thread"), THREADS),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), MEMORY),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), MEMORY),
        (ImportError("libgfortran.so.5: cannot open shared object file: Too many open files"), FILES),
        ("terminate called after throwing an instance of 'std::bad_alloc'", MEMORY),
        ("libgomp: Thread creation failed: Resource temporarily unavailable", THREADS),
        (ValueError("shapes do not match"), None),
        (KeyError("pid"), None),
        ("Fatal Python error: Segmentation fault", None),
    ],
)
def test_what_was_refused(error, expected):
    assert refusal(error) is expected


def test_a_message_names_the_limit_the_place_and_what_lies_behind_another_error():
    behind = OSError(errno.EMFILE, "Too many open files", "/a/file")
    try:
        try:
            raise behind
        except OSError as error:
            raise LookupError("not found") from error
    except LookupError as error:
        found = explained(error)
    assert found.place == "/a/file"
    assert str(resource.getrlimit(resource.RLIMIT_NOFILE)[0]) in found.found
    assert "ulimit -n" in found.remedy


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.ESTALE, "Stale file handle", "/mnt/x"),
        PermissionError(errno.EACCES, "Permission denied", "/x"),
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
        OSError("without a number"),
        RecursionError("maximum recursion depth exceeded"),
        UnicodeEncodeError("ascii", "\xfc", 0, 1, "ordinal not in range(128)"),
    ],
)
def test_every_error_of_the_system_has_cause_and_remedy(error):
    found = explained(error)
    assert isinstance(found, UserError)
    assert found.found
    assert found.remedy


def test_a_bug_is_no_trouble_of_the_system():
    assert explained(KeyError("pid")) is None


def test_limits_under_which_libraries_crash_or_hang_are_refused(monkeypatch):
    system_trouble.check_stack()
    system_trouble.check_address_space()
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64 * 1024, 64 * 1024))
    with pytest.raises(UserError) as stack:
        system_trouble.check_stack()
    assert "64 kB" in stack.value.found
    monkeypatch.setattr(system_trouble, "LEAST_SPACE", 2**62)
    with pytest.raises(UserError) as space:
        system_trouble.check_address_space()
    assert "ulimit -v" in space.value.found


@pytest.mark.parametrize(
    ("soft", "hard", "more", "raised"),
    [
        (16, 4096, 0, [(1024, 4096)]),
        (16, 100, 0, [(100, 100)]),
        (256, 4096, 0, []),
        (64, 64, 0, []),
        (1024, 4096, 1600, [(1664, 4096)]),
    ],
)
def test_a_limit_on_open_files_is_raised_as_far_as_it_may(monkeypatch, soft, hard, more, raised):
    wanted = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: wanted.append(limits))
    system_trouble.check_open_files(more)
    assert wanted == raised


def test_a_limit_on_open_files_that_is_too_low_is_told(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (16, 32))
    with pytest.raises(UserError) as error:
        system_trouble.check_open_files()
    assert "32" in error.value.found
    assert "ulimit -n" in error.value.remedy


def test_without_a_home_figures_are_measured_and_not_kept(monkeypatch):
    machine = read_machine()
    monkeypatch.setenv("XDG_CACHE_HOME", "/a/cache")
    assert default_cache(machine).parent.parent == type(default_cache(machine))("/a/cache")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "also/relative")
    assert default_cache(machine) is None
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda _: (_ for _ in ()).throw(KeyError("no such user")))
    assert default_cache(machine) is None
    monkeypatch.setattr(
        "paretune.profiles.devices.host._run", lambda _: {"fp32": {"value": 1.0, "source": "here"}}
    )
    assert measured_figures(None)["fp32"].value == 1.0
