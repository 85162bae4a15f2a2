"""Wheels for another Python: which ones, from where, kept, and what is done where there are none."""

import subprocess
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from paretune.backends.boards import wheelhouse
from paretune.backends.boards.board import Python
from paretune.backends.boards.parts import part_of, runner_digest, runner_part, trimmed
from paretune.backends.boards.runtimes import NUMPY, Runtime, gather, name_and_version, runtimes_for
from paretune.backends.boards.wheelhouse import NoWheelsError, Wheelhouse, target_of
from paretune.backends.registry import backend_names, get_backend
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.errors import UserError
from paretune.profiles.packages import versions

PYTHON = Python(
    version=(3, 13, 1),
    implementation="cpython",
    tag="cpython-313",
    soabi="cpython-313-aarch64-linux-gnu",
    bits=64,
    executable="/usr/bin/python3",
    libc="glibc 2.36",
)
HERE = versions([NUMPY])[NUMPY]


def make_wheel(folder, name, version, tag="py3-none-any", files=(), needs=()):
    path = folder / f"{name}-{version}-{tag}.whl"
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with zipfile.ZipFile(path, "w") as wheel:
        for entry in files or (f"{name}/__init__.py",):
            wheel.writestr(entry, "x = 1\n")
        wheel.writestr(f"{info}/METADATA", metadata + "".join(f"Requires-Dist: {one}\n" for one in needs))
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def house(tmp_path):
    for name in ("given", "cache"):
        (tmp_path / name).mkdir()
    return Wheelhouse(target=target_of(PYTHON, "aarch64"), cache=tmp_path / "cache", given=tmp_path / "given")


def test_the_target_of_a_python():
    target = target_of(PYTHON, "aarch64")
    assert (target.abi, target.glibc, target.python) == ("cp313", (2, 36), (3, 13))
    options = target.options
    assert "manylinux_2_36_aarch64" in options
    assert "manylinux_2_37_aarch64" not in options
    assert "manylinux2014_aarch64" in options
    free = target_of(replace(PYTHON, soabi="cpython-313t-aarch64-linux-gnu"), "aarch64")
    assert free.abi == "cp313t"
    old = target_of(replace(PYTHON, libc="glibc 2.12"), "x86_64").options
    assert "manylinux2014_x86_64" not in old
    assert "manylinux2010_x86_64" in old


@pytest.mark.slow
def test_wheels_of_the_board_are_taken_and_kept(house, tmp_path):
    make_wheel(tmp_path / "given", "tiny", "1", "cp313-cp313-manylinux_2_28_aarch64", needs=["other"])
    make_wheel(tmp_path / "given", "tiny", "2", "cp311-cp311-manylinux_2_28_x86_64")
    make_wheel(tmp_path / "given", "other", "3")
    found = house.get(["tiny"])
    assert {name_and_version(path) for path in found} == {("tiny", "1"), ("other", "3")}
    assert {path.parent for path in found} == {tmp_path / "cache"}


def test_what_was_fetched_costs_nothing_again_until_it_is_damaged(house, monkeypatch):
    fetched = []

    def fetch(command, **rest):
        fetched.append(make_wheel(Path(command[command.index("-d") + 1]), "tiny", "1"))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(wheelhouse.subprocess, "run", fetch)
    online = replace(house, given=None)
    (first,) = online.get(["tiny"])
    assert online.get(["tiny"]) == (first,)
    assert len(fetched) == 1
    first.write_bytes(b"damaged")
    (again,) = online.get(["tiny"])
    assert zipfile.is_zipfile(again)
    next(house.cache.glob("*.json")).write_text("{")
    online.get(["tiny"])
    assert len(fetched) == 3


def test_what_pip_says_is_the_reason(house, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "one\ntwo\n\nthree\nfour\n")
    monkeypatch.setattr(wheelhouse.subprocess, "run", lambda command, **rest: failed)
    with pytest.raises(NoWheelsError, match=r"^two; three; four$"):
        house.get(["tiny"])


def test_a_full_disk_here_is_no_missing_wheel(house, monkeypatch):
    said = "OSError: [Errno 28] No space left on device: 'a' -> 'b'\n"
    failed = subprocess.CompletedProcess([], 2, "", said)
    monkeypatch.setattr(wheelhouse.subprocess, "run", lambda command, **rest: failed)
    with pytest.raises(UserError) as caught:
        house.get(["tiny"])
    assert caught.value.place == str(house.cache)


@dataclass
class Known:
    """In a wheelhouse's place: these versions of these distributions are all that there is."""

    versions: dict[str, tuple[str, ...]]
    given: Path | None = Path("given")
    target: object = target_of(PYTHON, "aarch64")

    def get(self, wanted):
        found = [self._one(*one.partition("==")[::2]) for one in wanted]
        return tuple(Path(f"{name}-{version}-py3-none-any.whl") for name, version in found)

    def _one(self, name, version):
        known = self.versions.get(name, ())
        if not known or (version and version not in known):
            raise NoWheelsError(f"no {name} {version}")
        return name, version or known[-1]


TINY = Runtime(name="tiny", distributions=("tiny",))


def gathered_from(known, *runtimes, own_numpy=False):
    gathered = gather(Known(known), runtimes, own_numpy=own_numpy)
    return dict(map(name_and_version, gathered.wheels)), gathered


def test_versions_of_here_then_the_newest_then_without():
    other = Runtime(name="absent", distributions=("absent",))
    found, gathered = gathered_from({"numpy": ("98", "99"), "tiny": ("1",)}, TINY, other)
    assert found == {"numpy": "99", "tiny": "1"}
    assert set(gathered.left_out) == {"absent"}
    found, _ = gathered_from({"numpy": (HERE, "99"), "tiny": ("1",)}, TINY, other)
    assert found == {"numpy": HERE, "tiny": "1"}


def test_without_numpy_the_boards_own_has_to_do():
    with pytest.raises(UserError, match="no numpy"):
        gathered_from({"tiny": ("1",)}, TINY)
    found, gathered = gathered_from({"tiny": ("1",)}, TINY, own_numpy=True)
    assert found == {"tiny": "1"}
    assert not gathered.numpy


def test_a_package_of_the_users_own_is_asked_of_no_index(house):
    own = Runtime(name="mine", distributions=("mine",), own="mine")
    made = replace(house, given=None)
    with pytest.MonkeyPatch.context() as patch:
        asked = []

        def get(self, wanted):
            asked.extend(wanted)
            return ()

        patch.setattr(Wheelhouse, "get", get)
        gathered = gather(made, [own], own_numpy=True)
    assert asked == [f"{NUMPY}=={HERE}"]
    assert set(gathered.left_out) == {"mine"}


def test_the_runner_is_what_a_device_loads_and_no_more(tmp_path):
    part = runner_part(tmp_path)
    with zipfile.ZipFile(part.file) as archive:
        names = set(archive.namelist())
    assert {"paretune/__init__.py", "paretune/backends/runner/serve.py"} <= names
    assert not [name for name in names if "/boards/" in name or "/search/" in name or name.endswith(".yaml")]
    assert part.name == f"paretune-{runner_digest()}"
    part.file.write_bytes(part.file.read_bytes()[:-100])
    assert runner_part(tmp_path) == part  # made anew


def test_a_wheel_of_which_a_part_is_needed(tmp_path):
    wheel = make_wheel(tmp_path, "big", "1", files=["big/__init__.py", "big/lib/a.so", "big/lib/b.so"])
    archive = trimmed(wheel, ("big/__init__.py", "big/lib/a.so"), tmp_path)
    with zipfile.ZipFile(archive) as opened:
        assert opened.namelist() == ["big/__init__.py", "big/lib/a.so", "big-1.dist-info/METADATA"]
    assert part_of(archive, "big-1").files == 3


def test_a_damaged_archive_is_told(tmp_path):
    (tmp_path / "x.whl").write_bytes(b"no zip")
    with pytest.raises(UserError, match="cannot be read"):
        part_of(tmp_path / "x.whl", "x")


def test_each_backend_of_ours_says_what_a_device_needs():
    for name in set(backend_names()) - {"toy"}:
        assert get_backend(name).on_device, name


def test_a_board_gets_what_is_installed_here_and_offered_there():
    pi, gpu = load_profile("raspberry-pi-5"), load_profile("nvidia-t4")
    names = [one.name for one in runtimes_for(pi)]
    assert set(names) <= set(backend_names())
    assert "trt" not in names
    assert [one.name for one in runtimes_for(pi, ["tflite"])] == ["tflite"]
    with pytest.raises(UserError, match="trt"):
        runtimes_for(pi, ["trt"])
    assert [one.name for one in runtimes_for(gpu, ["trt"])] == ["trt"]
