"""The user's code at each place that it is called from: before the search one message, in it one failure."""

import re
import sys
from pathlib import Path

import pytest
from paretune.cli import main
from paretune.search.record.evaluation import Outcome
from paretune.search.run.stored import open_run


@pytest.fixture
def command(capsys, monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["paretune", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return run


def changed(bench, *changes):
    text = (bench.root / "blobs.py").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (bench.root / "blobs.py").write_text(text)


IMPORTS, SPLITS, TEACHER = "import numpy as np\n", "    counts = {", "    torch.manual_seed(0)\n"
FORWARD, LABELS, JOB = (
    "        return self.head(self.body(x))",
    "labels=labels.astype(np.int64)",
    'name="blobs",',
)
METRIC = 'metric=Metric(name="{}", function=lambda outputs, labels: {}),'


def metric(value, name="own"):
    return (
        ("import Split,", "import Metric, Split,"),
        (JOB, JOB + METRIC.format(name, value)),
        # Nothing is trained before the metric is asked.
        ("train_teacher=train_teacher,", "train_teacher=lambda model, splits: None,"),
    )


# fmt: off
BEFORE_THE_SEARCH = {
    "import ends the process": (
        [(IMPORTS, f"{IMPORTS}raise SystemExit(0)\n")],
        r"blobs.py, line 3: .*SystemExit",
    ),
    "import, null byte": ([(IMPORTS, f"{IMPORTS}\0\n")], "null bytes"),
    "splits end the process": ([(SPLITS, f"    exit(0)\n{SPLITS}")], "line 17: `splits` of .*SystemExit"),
    "splits return nothing": ([(SPLITS, f"    return\n{SPLITS}")], "did not return a Splits"),
    "a lazy mapping": (
        [('={"x": x}', "=type('L', (dict,), {'__iter__': None, '__getitem__': lambda *x: exit()})(x=x)")],
        "reading what `splits` of .* SystemExit",
    ),
    "objects": ([('{"x": x}', '{"x": x.astype(object)}')], r"object\[240, 8\]"),
    "complex": ([('{"x": x}', '{"x": x.astype(complex)}')], r"complex128\[240, 8\]"),
    "a name of two lines": ([('{"x": x}', '{"x\\n": x}')], r"not named by text[\s\S]*'x\\n'"),
    "labels without samples": (
        [(LABELS, "labels=np.array(1)")],
        r"not a numpy array.*\n.*int64\[\]",
    ),
    "labels that are nan": (
        [(LABELS, "labels=np.where(labels, labels, np.nan)")],
        "labels have values .*not finite",
    ),
    "teacher ends the process": (
        [(TEACHER, f"    exit(0)\n{TEACHER}")],
        "line 3.: `teacher` .*SystemExit",
    ),
    "teacher is none": ([("    return Net(64)", "    return 7")], "did not return a torch module"),
    "float64 weights": ([("return Net(64)", "return Net(64).double()")], r"not all float32[\s\S]*float64"),
    "float16 weights": ([("return Net(64)", "return Net(64).half()")], r"not all float32[\s\S]*float16"),
    "forward ends the process": (
        [(FORWARD, f"        exit(0)\n{FORWARD}")],
        r"line 28: forward .*SystemExit",
    ),
    "forward gives a number": ([(FORWARD, f"{FORWARD}.sum()")], "a single number for all samples"),
    "forward gives complex": ([(FORWARD, f"{FORWARD} * 1j")], r"not of real numbers[\s\S]*complex64"),
    "copies end the process": (
        [("    def forward", "    def __deepcopy__(self, memo):\n        exit(0)\n\n    def forward")],
        "SystemExit",
    ),
    "train_teacher ends the process": (
        [("    for _ in range(60):", "    exit(0)\n    for _ in range(60):")],
        "`train_teacher` of .*SystemExit",
    ),
    "train_teacher changes the data": (
        [("    for _ in range(60):", "    x += 1\n    for _ in range(60):")],
        r"changed the data[\s\S]*train",
    ),
    "train_teacher changes the layers": (
        [("    for _ in range(60):", "    model.more = nn.Linear(2, 2)\n    for _ in range(60):")],
        r"changed the layers[\s\S]*more.weight",
    ),
    "a loss that is no tensor": (
        [(JOB, f"{JOB} loss=lambda *given: 1.0,")],
        r"did not return one number[\s\S]*float 1",
    ),
    "a loss of no outputs": (
        [(JOB, f"{JOB} loss=lambda *given: torch.ones(()),")],
        "does not depend on the outputs",
    ),
    "a student that is frozen": (
        [("width: Net(width)", "width: Net(width).requires_grad_(False)")],
        "to train",
    ),
    "a metric that ends the process": (metric("exit(0)"), "the metric 'own' on teacher on .*SystemExit"),
    "a metric of two numbers": (metric("np.ones(2)"), r"gave float64\[2\], not one number"),
    "a metric of infinity": (metric("10 ** 400"), "gave inf, no finite number"),
    "accuracy in percent": (metric("33.33", "accuracy"), r"gave 33.33[\s\S]*give a share between 0 and 1"),
    "a metric that is called latency": (
        metric("1.0", "latency"),
        "`metric.name` of the workload cannot be used",
    ),
    "a workload without a name": ([(JOB, 'name="\\n",')], "`name` of the workload cannot be used"),
}
# fmt: on


@pytest.mark.parametrize("case", BEFORE_THE_SEARCH)
def test_what_it_does_wrong_before_the_search_is_one_message(bench, shared_store, command, case):
    changes, message = BEFORE_THE_SEARCH[case]
    changed(bench, *changes)
    space = {"student": {"width": [4]}, "precision": ["fp32"], "backend": ["toy"]}
    code, out, err = command("run", bench.study(store=shared_store, space=space))
    assert (code, out) == (1, ""), err
    assert err.count("error:") == 1
    assert "Traceback" not in err
    assert re.search(message, err), err
    assert not (bench.root / "runs").exists()


IN_THE_SEARCH = """
CALLS = {}


def calls(what):
    CALLS[what] = CALLS.get(what, 0) + 1
    return CALLS[what]


class Odd(Net):
    def __init__(self, kind):
        super().__init__(8)
        self.kind, self.steps = kind, 0

    def forward(self, x):
        if self.training:
            self.steps += 1
        late = self.training and self.steps > 5  # the first steps are tried before the search
        if late and self.kind == "exits":
            raise SystemExit(0)
        if late and self.kind == "loud":
            os.chdir("/")
            torch.set_default_dtype(torch.float64)
        outputs = super().forward(x)
        if late and self.kind == "detaches":
            return outputs.detach()
        factor, offset = {"constant": (0, 0), "loud": (1000, 0), "costly": (1, 1e5)}.get(self.kind, (1, 0))
        return outputs * factor + offset


def student(kind):
    if kind == "vanishes" and calls("builder") > 1:
        return None
    return Odd(kind)


def loss(outputs, labels, teacher):
    if outputs.mean() > 1e4 and calls("loss") > 5:
        raise SystemExit(0)
    return nn.functional.cross_entropy(outputs, labels)


def quality(outputs, labels):
    if len(labels) == 100 and np.abs(outputs).max() > 500:
        raise SystemExit(0)
    found = float("nan") if np.ptp(outputs) == 0 else float((outputs.argmax(1) == labels).mean())
    labels[:] = outputs[:] = 0  # they are lent: the next call finds them as they were
    return found


workload = Workload(name="blobs", splits=splits, teacher=teacher, train_teacher=train_teacher, loss=loss,
                    metric=Metric(name="quality", function=quality), student=student)
"""
CAUSES = {
    "exits": "SystemExit: 0",
    "detaches": "does not depend on the outputs",
    "vanishes": "did not return a torch module",
    "costly": "`loss` of workload blobs raised SystemExit",
    "constant": "nan, no finite number",
}


@pytest.mark.slow
def test_what_it_does_wrong_in_the_search_ends_one_evaluation(bench, command):
    code = (bench.root / "blobs.py").read_text().replace("import Split,", "import Metric, Split,")
    (bench.root / "blobs.py").write_text(
        "import os\n" + code.replace('"test": 120', '"test": 100') + IN_THE_SEARCH
    )
    kinds = [*CAUSES, "loud"]
    space = {"student": {"kind": kinds}, "precision": ["fp32"], "backend": ["toy"]}
    before = Path.cwd()
    code, out, err = command("run", bench.study(space=space, budget={"trials": 8}, finalists=2))
    assert code == 0, err
    assert Path.cwd() == before
    record, run = open_run(bench.root / "blobs.yaml")
    found = {dict(t.evaluation.candidate.student).get("kind"): t for t in record.trials}
    assert set(found) == {None, *kinds}
    for kind, cause in CAUSES.items():
        evaluation = found[kind].evaluation
        assert evaluation.outcome is Outcome.FAILED, kind
        assert cause in evaluation.cause
        assert f"{bench.root / 'blobs.py'}, line " in evaluation.cause
    assert {found[kind].evaluation.outcome for kind in (None, "loud")} == {Outcome.COMPLETE}
    (unconfirmed,) = record.unconfirmed
    assert unconfirmed.number == found["loud"].number
    assert "SystemExit" in unconfirmed.failed
    assert [f.number for f in record.finalists] == [found[None].number]
    assert f"finalist #{unconfirmed.number} was not confirmed" in (run / "report" / "report.md").read_text()
    assert "report: " in out
