import os
from dataclasses import fields
from pathlib import Path

import pytest
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.search.job.job import Job
from paretune.search.job.study_file import load_study_file

GOOD = """
name: small
workload: digits.py
budget: {trials: 10, time: 2 min}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return path


def test_a_minimal_file_has_defaults_for_everything_else(tmp_path):
    study = load_study_file(write(tmp_path, GOOD))
    assert study.budget.time == 120
    assert study.profile == "host"
    assert study.workload.file == "digits.py"
    assert study.space.precision is None


def test_what_is_guarded_reaches_the_runners(tmp_path):
    file = load_study_file(write(tmp_path, GOOD + "guard: {open: 5 s, compile: 1 min, memory: 1 GB}"))
    nothing = {field.name: None for field in fields(Job)}
    guard = Job(**{**nothing, "file": file}).guard
    assert (guard.open_s, guard.compile_s, guard.run_s, guard.memory_bytes) == (5, 60, 300, 10**9)
    assert guard.patience_s == 600
    file = load_study_file(write(tmp_path, GOOD + "guard: {patience: 0}"))
    assert Job(**{**nothing, "file": file}).guard.patience_s == 0


def test_values_and_lists_of_one_value_mean_the_same(tmp_path):
    study = load_study_file(
        write(tmp_path, GOOD + "space: {precision: int8, sparsity: 'channel:.50', student: {width: 0.5}}")
    )
    assert study.space.precision == (Precision.INT8,)
    assert study.space.sparsity == ("channel:0.5",)
    assert study.space.student == {"width": (0.5,)}


@pytest.mark.parametrize("text", ["order: [prune-distill-quantize]", "order: ", "distill: {hidden: [0]}"])
def test_what_is_left_of_a_choice_may_still_be_named(tmp_path, text):
    study = load_study_file(write(tmp_path, f"{GOOD}space: {{{text}}}"))
    assert study == load_study_file(write(tmp_path, GOOD))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("budgett: {trials: 3}", r"unknown key 'budgett'.*did you mean 'budget'"),
        ("space: {precison: [int8]}", r"space\.precison|did you mean 'precision'"),
        ("space: {precision: [int7]}", "precision"),
        ("space: {sparsity: [some]}", "not a sparsity"),
        ("space: {backend: []}", "empty list"),
        ("space: {precision: [int8, int8]}", "twice"),
        ("space: {distill: {weight: [2]}}", r"weight\.0: should be less than or equal to 1"),
        ("space: {distill: {hidden: [0, 0.3]}}", "hidden is not searched any more"),
        ("space: {order: [distill-prune-quantize]}", "order is not searched any more"),
        ("ladder: {rungs: [luck]}", r"ladder[\s\S]*calibration"),
        ("ladder: {draws: 0}", "draws"),
        ("ladder: sometimes", "never"),
        ("training: {patience: 0}", "patience"),
        ("budget: {}", "number of trials"),
        ("budget: {time: 5 parsecs}", "unit"),
        ("budget: {trials: many}", "trials"),
        ("deploy: {batch: 0}", "batch"),
        ("objectives: [accuracy]", "objectives"),
        *(
            (f"name: {name}", "name: is no name")
            for name in ("'a/b'", "..", "'-x'", "' x'", '"a\\nb"', "a" * 81)
        ),
        ("name: ''", "name: is no name"),
        *(
            (f"workload: {text}", "workload: ")
            for text in (
                "..pkg:thing",
                "'a b:c'",
                "digits",
                "'x.py:'",
                '"x\\n.py"',
                "x" * 256 + ".py",
                "''",
                ".",
                "x:1",
            )
        ),
        *(
            (f"{key}: {text}", rf"column 1: {key}: ")
            for key in ("profile", "store", "runs")
            for text in ("''", "' x'", '"a\\tb"', "\ufeffx", "x\u202ey", "a" * 256, "b/" * 3000)
        ),
        ('storage: "a\\nb"', r"storage: has the character U\+000A"),
        ("space: {backend: ['-x']}", r"backend\.0: is no name"),
        ("space: {backend: ['..x:Y']}", r"backend\.0: names no object"),
        ("space: {student: {'a b': [1]}}", "is no name in Python"),
        ("space: {student: {width: [off]}}", r"width\.0: off is read in different ways"),
        ("workload: {file: a.py, options: {a: 017}}", r"options\.a: 017 is read in different ways"),
        ("warm_start: ['']", r"warm_start\.0: must not be empty"),
        ("seed: true", "seed: should be a valid integer"),
        ("seed: '5'", "without quotes"),
        ("seed: 5.0", "seed: should be a valid integer"),
        ("seed: 12:30", "seed: should be a valid integer"),
        ("gate: {margin: yes}", "gate.margin: should be a valid number"),
        ("reference: {accuracy: yes}", "found: yes"),
        ("guard: {run: 30 d}", "up to 20 d"),
        ("guard: {patience: -1}", "0 or more"),
        ("guard: {memory: 1e30 GB}", "more than any device has"),
        ("deploy: {threads: 100000}", "1024"),
        ("training: {epochs: 1e9}", "epochs"),
        ("training: {learning_rate: 1e300}", "learning_rate: should be less than or equal to 100"),
        ("prefer: {accuracy: 1e308}", "1000000"),
        ("stop: always", "a mapping of keys to values or never"),
        ("sampler: best", "sampler"),
        ("seed: -1", "seed"),
        ("name: 5", r"found: 5[\s\S]*in quotes"),
        ("space: {backend: [null]}", r"found: nothing[\s\S]*in quotes"),
        ("seed: 99999999999", "seed"),
    ],
)
def test_what_cannot_be_accepted_is_named(tmp_path, text, message):
    key = text.split(":")[0]
    kept = "\n".join(line for line in GOOD.splitlines() if not line.startswith(f"{key}:"))
    with pytest.raises(UserError, match=message) as caught:
        load_study_file(write(tmp_path, f"{kept}\n{text}\n"))
    assert str(tmp_path / "study.yaml") in str(caught.value)


def test_a_key_with_nothing_after_it_is_left_out(tmp_path):
    study = load_study_file(
        write(
            tmp_path, GOOD + "constraints:\n  # - size <= 1 kB\nprefer:\nspace: {student: , calibration: }\n"
        )
    )
    assert study.constraints == ()
    assert study.prefer == study.space.student == {}
    with pytest.raises(UserError, match="missing key 'budget'"):
        load_study_file(write(tmp_path, GOOD.replace("{trials: 10, time: 2 min}", "")))


def test_missing_file_names_those_that_are_there(tmp_path):
    write(tmp_path, GOOD)
    with pytest.raises(UserError, match=r"no such study file[\s\S]*study\.yaml"):
        load_study_file(tmp_path / "other.yaml")


def test_a_directory_is_no_study_file(tmp_path):
    with pytest.raises(UserError, match="a directory"):
        load_study_file(tmp_path)


def test_a_value_is_what_is_written(tmp_path):
    space = "space: {sparsity: [2:4, channel:0.1234567], student: {width: [1e-3, 8.65, 2]}}"
    study = load_study_file(
        write(tmp_path, f"{GOOD}{space}\nwarm_start: no\ngate: {{during_training: off}}\n")
    )
    assert study.space.sparsity == ("2:4", "channel:0.1234567")
    assert study.space.student == {"width": (0.001, 8.65, 2)}
    assert list(map(type, study.space.student["width"])) == [float, float, int]
    assert (study.warm_start, study.gate.during_training) == (False, False)


def test_only_a_regular_file_is_a_study(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(UserError, match="no regular file"):
            load_study_file(path)
    for name in ("x" * 300, "a\0b"):
        with pytest.raises(UserError, match="cannot be read"):
            load_study_file(tmp_path / name)
