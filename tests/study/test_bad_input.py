"""What users get wrong: one clear message on stderr, exit code 1, no traceback, nothing half-written."""

import re
import sys

import pytest
from paretune.cli import main


@pytest.fixture
def command(capsys, monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["paretune", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return run


def left_over(bench):
    """What a refused study left beside its own files: nothing."""
    own = {
        "__pycache__",
        *(path.name for path in bench.root.glob("*.py")),
        *(p.name for p in bench.root.glob("*.yaml")),
    }
    return sorted({path.name for path in bench.root.iterdir()} - own)


BAD_STUDIES = {
    "unknown key": ({"budgte": {"trials": 3}}, r"unknown key 'budgte'; did you mean 'budget'"),
    "wrong type": ({"budget": {"trials": "many"}}, r"budget\.trials"),
    "impossible limit": ({"constraints": ["latency <= 0 ms"]}, r"no model can meet this limit"),
    "contradicting limits": ({"constraints": ["size <= 1 kB", "size >= 2 kB"]}, r"exclude each other"),
    "unknown unit": ({"constraints": ["latency <= 5 fortnights"]}, r"unknown unit 'fortnights'"),
    "unknown metric": ({"constraints": ["latnecy <= 5 ms"]}, r"did you mean 'latency'"),
    "unknown backend": ({"space": {"backend": ["tensorflow"]}}, r"unknown backend 'tensorflow'"),
    "unknown profile": ({"profile": "raspbery-pi-4"}, r"raspberry-pi-4"),
    "profile that says no way": (
        {"profile": "raspberry-pi-4", "space": {"backend": ["toy"]}},
        r"how to reach",
    ),
    "missing workload": ({"workload": "blob.py"}, r"did you mean blobs\.py"),
    "missing object": ({"workload": "blobs.py:other"}, r"no object 'other'"),
    "empty space": ({"space": {"backend": ["ort"], "precision": ["fp8"]}}, r"space is empty"),
    "wrong student axis": (
        {"space": {"student": {"depth": [1]}, "backend": ["toy"]}},
        r"arguments do not fit",
    ),
    "unknown preference": ({"prefer": {"speed": 1}}, r"unknown metric 'speed'"),
    "preference for no objective": ({"prefer": {"memory": 1}}, r"no objective"),
    "objective twice": ({"objectives": ["accuracy", "latency", "latency_ms"]}, r"named twice"),
    "storage out of reach": ({"storage": "sqlite:////nowhere/at/all.db"}, r"storage cannot be opened"),
    "store that is a file": ({"store": "blobs.py"}, r"store: a directory is needed"),
}


@pytest.mark.parametrize("case", BAD_STUDIES)
def test_a_study_that_cannot_be_accepted(bench, command, case):
    changes, message = BAD_STUDIES[case]
    code, out, err = command("run", bench.study(**changes))
    assert code == 1
    assert out == ""
    assert "Traceback" not in err
    assert err.count("error:") == 1
    assert re.search(message, err), err
    assert set(left_over(bench)) <= {".paretune"}


def test_missing_study_file(bench, command):
    bench.study()
    code, _, err = command("run", bench.root / "blob.yaml")
    assert code == 1
    assert "no such study file" in err
    assert "blobs.yaml" in err


def test_a_study_file_that_is_not_yaml(bench, command):
    path = bench.root / "bad.yaml"
    path.write_text("name: [unclosed\nbudget: 3")
    code, _, err = command("run", path)
    assert code == 1
    assert "line" in err


def test_a_backend_that_is_not_installed(bench, command, monkeypatch):
    for module in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, module, None)
    code, _, err = command("plan", bench.study(space={"backend": ["trt"]}), "--profile", "nvidia-t4")
    assert code == 1
    assert "not installed" in err
    assert "pip install" in err


def test_a_device_that_does_not_answer(bench, command):
    (bench.root / "board.yaml").write_text(
        "name: board\ntitle: A board\ncpu:\n  model: some\n  architecture: aarch64\n"
        "  cores: 4\n  threads: 4\n"
        "  instruction_sets: [neon]\n  source: test\n  memory_bytes: {value: 1 GB, source: test}\n"
        "reach: {kind: ssh, host: 127.0.0.1, port: 9}\n"
    )
    code, _, err = command("run", bench.study(profile="./board.yaml", space={"backend": ["toy"]}))
    assert code == 1
    assert "cannot be reached" in err
    assert left_over(bench) == []


@pytest.mark.slow
def test_two_studies_with_one_name(bench, command):
    assert command("run", bench.study(budget={"trials": 2}))[0] in (0, 2)
    other = bench.root / "other.yaml"
    text = bench.study(budget={"trials": 2}, objectives=["accuracy", "size"]).read_text()
    other.write_text(text)
    code, _, err = command("run", other)
    assert code == 1
    assert "describes another problem" in err
    assert "another `name`" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nonsense"], "No such option"),
        (["fly"], "No such command"),
        (["report", "nowhere"], "no run here"),
        (["devices", "toaster"], "toaster"),
    ],
)
def test_wrong_commands(command, arguments, message):
    code, _, err = command(*arguments)
    assert code == 1
    assert message in err


def test_a_study_that_was_not_run_yet(bench, command):
    code, _, err = command("report", bench.study())
    assert code == 1
    assert "was not run yet" in err


BAD_WORKLOADS = {
    "wrong shape": ("nn.Linear(8, width)", "nn.Linear(9, width)", "forward|teacher"),
    "not finite": ("x = (centres", "x = np.nan * (centres", "NaN|not finite"),
    "class missing": (
        "labels = np.arange(count) % 3",
        "labels = np.arange(count) % (3 if seed != 3 else 2)",
        "class",
    ),
    "overlap": (
        "rng = np.random.default_rng(seed)",
        "rng = np.random.default_rng(1)",
        "two splits|overlap|same",
    ),
    "error in the user's code": (
        "rng = np.random.default_rng(seed)",
        "rng = 1 / 0",
        r"blobs\.py, line \d+[\s\S]*division",
    ),
    "teacher worse than chance": (
        'y = torch.from_numpy(splits.train.inputs["x"]), torch.from_numpy(splits.train.labels)',
        'y = torch.from_numpy(splits.train.inputs["x"]), 2 - torch.from_numpy(splits.train.labels)',
        "chance",
    ),
    "loss explodes": (
        "self.head(self.body(x))",
        "self.head(self.body(x)) * float('nan') if self.training else self.head(self.body(x))",
        "nan|finite",
    ),
}


@pytest.mark.parametrize("case", BAD_WORKLOADS)
def test_a_workload_with_an_error_is_named_before_any_budget_is_spent(bench, command, case):
    old, new, message = BAD_WORKLOADS[case]
    text = (bench.root / "blobs.py").read_text()
    assert old in text
    (bench.root / "blobs.py").write_text(text.replace(old, new))
    code, _, err = command("run", bench.study())
    assert code == 1, err
    assert "Traceback" not in err
    assert re.search(message, err), err
    assert "what to do" in err
    assert not (bench.root / "runs").exists()
