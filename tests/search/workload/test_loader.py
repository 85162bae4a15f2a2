from __future__ import annotations

import subprocess
import sys
import textwrap
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from paretune.profiles.errors import UserError
from paretune.search.workload.content import local_files, split_digest
from paretune.search.workload.importing import forget_theirs
from paretune.search.workload.loader import load_workload
from paretune.search.workload.workload import Metric, Split

HEAD = """
import numpy as np
import torch
from paretune import Split, Splits, Workload

def splits():
    def part(seed):
        return Split(inputs={"x": np.full((4, 2), seed, np.float32)}, labels=np.array([0, 1, 0, 1]))
    return Splits(train=part(0), calibration=part(1), validation=part(2), test=part(3))

def teacher():
    return torch.nn.Linear(2, 2)
"""
TAIL = '\nworkload = Workload(name="tiny", splits=splits, teacher=teacher)\n'


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "job.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write


def test_a_file_is_loaded_with_its_digests(write, tmp_path):
    write(HEAD + TAIL)
    loaded = load_workload("job.py", tmp_path)
    assert loaded.workload.name == "tiny"
    assert loaded.splits is loaded.splits
    assert list(loaded.data_digests) == ["train", "calibration", "validation", "test"]
    assert len(set(loaded.data_digests.values())) == 4
    assert load_workload("job.py:workload", tmp_path).source_digest == loaded.source_digest


def test_the_source_digest_does_not_depend_on_the_directory(write, tmp_path):
    write(HEAD + TAIL, "one/job.py")
    write(HEAD + TAIL, "two/job.py")
    one, two = (load_workload(f"{name}/job.py", tmp_path) for name in ("one", "two"))
    assert one.source_digest == two.source_digest


def test_the_source_digest_covers_options_and_local_imports_also_inside_functions(write, tmp_path):
    text = (
        HEAD
        + "def make(flip=False):\n    from digest_helper import part\n"
        + ("    return Workload(name='tiny', splits=splits, teacher=teacher)\n")
    )
    write(text)
    write("from digest_pack import inner\npart = 1\n", "digest_helper.py")
    write("", "digest_pack/__init__.py")
    write("from .deep import x\n", "digest_pack/inner.py")
    write("x = 1\n", "digest_pack/deep.py")
    names = {str(path.relative_to(tmp_path)) for path in local_files(tmp_path / "job.py", tmp_path)}
    assert names == {
        "job.py",
        "digest_helper.py",
        "digest_pack/__init__.py",
        "digest_pack/inner.py",
        "digest_pack/deep.py",
    }
    first = load_workload("job.py:make", tmp_path).source_digest
    assert load_workload("job.py:make", tmp_path).source_digest == first
    assert load_workload("job.py:make", tmp_path, {"flip": True}).source_digest != first
    write("x = (\n", "digest_pack/deep.py")
    assert load_workload("job.py:make", tmp_path).source_digest != first


def test_a_module_is_loaded_from_the_directory_of_the_study(write, tmp_path):
    write("", "loader_jobs/__init__.py")
    write(HEAD + TAIL, "loader_jobs/tiny.py")
    loaded = load_workload("loader_jobs.tiny:workload", tmp_path)
    assert loaded.workload.name == "tiny"
    assert loaded.directory == tmp_path / "loader_jobs"


def test_what_is_installed_in_their_project_and_what_was_searched_before_stays(write, tmp_path, monkeypatch):
    environment = tmp_path / "env" / "site-packages"
    write("", "env/site-packages/loader_installed.py")
    write("", "src/loader_source.py")
    for place in (environment, tmp_path / "src"):
        monkeypatch.syspath_prepend(str(place))
    forget_theirs()
    write(f"import sys\nsys.path.insert(0, {str(tmp_path / 'own')!r})\n" + HEAD + TAIL)
    load_workload("job.py", tmp_path)
    installed, source = map(import_module, ("loader_installed", "loader_source"))
    assert forget_theirs()
    assert sys.modules.get("loader_installed") is installed
    assert sys.modules.get("loader_source") is source
    assert str(tmp_path / "own") not in sys.path
    assert not forget_theirs()


def test_split_digests_cover_names_types_and_values():
    array = np.zeros((2, 3), np.float32)
    labels = np.array([0, 1])
    variants = [
        Split(inputs={"x": array}, labels=labels),
        Split(inputs={"y": array}, labels=labels),
        Split(inputs={"x": array.astype(np.float64)}, labels=labels),
        Split(inputs={"x": array.reshape(2, 3, 1)}, labels=labels),
        Split(inputs={"x": array + 1}, labels=labels),
        Split(inputs={"x": array}, labels=labels[::-1]),
    ]
    assert len({split_digest(split) for split in variants}) == len(variants)


def test_a_metric_is_named_by_its_source():
    one = Metric(name="m", function=lambda outputs, labels: 1.0)
    two = Metric(name="m", function=lambda outputs, labels: 2.0)
    assert one.digest != two.digest
    assert Metric(name="m", function=max).digest != Metric(name="m", function=min).digest


BAD = {
    "missing file": ("jop.py", HEAD + TAIL, r"no such workload file.*did you mean job\.py"),
    "no such object": ("job.py:other", HEAD + TAIL, r"no object 'other'.*workloads there: workload"),
    "no form": ("job", HEAD, r"not a workload reference.*'job'"),
    "not a workload": ("job.py:splits", HEAD, r"not a workload\n.*splits is a Splits"),
    "import error": ("job.py", "import os\nimport not_there\n", r"job\.py, line 2.*named 'not_there'.*"
                     r"install 'not_there' into this environment"),
    "syntax error": ("job.py", "a = 1\nb = (\n", r"job\.py, line 2: .* raised SyntaxError"),
    "own error": ("job.py", "def f():\n    return 1 / 0\n\nf()\n", r"job\.py, line 2: .*ZeroDivisionError"),
    "missing module": ("no_such_pkg.mod:workload", HEAD, r"ModuleNotFoundError.*install 'no_such_pkg'"),
    "neither": ("job.py", HEAD + "workload = Workload(name='w', splits=splits)", r"found: neither"),
    "no onnx": ("job.py", HEAD + "workload = Workload(name='w', splits=splits, onnx='m.onnx')",
                r"ONNX file does not exist.*m\.onnx"),
    "student of onnx": ("job.py", HEAD + "workload = Workload(name='w', onnx='m', splits=0, student=1)",
                        r"cannot be trained: `student` has no use"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_loaded_is_explained(write, tmp_path, case):
    reference, text, message = BAD[case]
    write(text)
    with pytest.raises(UserError, match=f"(?s){message}"):
        load_workload(reference, tmp_path)


def test_options_are_checked_against_the_function(write, tmp_path):
    make = "def make(size):\n    return Workload(name=str(size), splits=splits, teacher=teacher)\n"
    write(HEAD + make + TAIL)
    assert load_workload("job.py:make", tmp_path, {"size": "a"}).workload.name == "a"
    with pytest.raises(UserError, match=r"(?s)arguments do not fit.*'sise'.*accepted: \(size\)"):
        load_workload("job.py:make", tmp_path, {"size": "a", "sise": "b"})
    with pytest.raises(UserError, match="this workload takes no options"):
        load_workload("job.py", tmp_path, {"size": "a"})
    with pytest.raises(UserError, match="options must be plain values"):
        load_workload("job.py:make", tmp_path, {"size": {1, 2}})


def test_splits_that_fail_or_are_something_else(write, tmp_path):
    write(HEAD + "def broken():\n    raise OSError('no data')\n"
          "one = Workload(name='one', splits=broken, teacher=teacher)\n"
          "two = Workload(name='two', splits=list, teacher=teacher)\n")  # fmt: skip
    with pytest.raises(
        UserError, match=r"job\.py, line 14: `splits` of workload one raised OSError: no data"
    ):
        _ = load_workload("job.py:one", tmp_path).splits
    with pytest.raises(UserError, match=r"(?s)did not return a Splits.*found: list"):
        _ = load_workload("job.py:two", tmp_path).splits


def test_the_onnx_file_is_part_of_the_digest(write, tmp_path):
    write(
        HEAD + "from pathlib import Path\nworkload = Workload(name='w', splits=splits, onnx=Path('m.onnx'))\n"
    )
    write("one", "m.onnx")
    one = load_workload("job.py", tmp_path).source_digest
    write("two", "m.onnx")
    assert load_workload("job.py", tmp_path).source_digest != one


def test_loading_needs_no_torch(write, tmp_path):
    write(HEAD.replace("import torch", "") + TAIL)
    code = (
        "import sys; from pathlib import Path; from paretune.search.workload.loader import load_workload;"
        "load_workload('job.py', Path(sys.argv[1])).data_digests; print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    assert result.stdout == "False\n", result.stderr
