"""A study file, whatever stands in it, is a job or one message with the place: nothing else, and no wait."""

import json
import os
import time
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from fuzz.yaml_texts import contents, is_one_message, mostly, section, some, written
from hypothesis import given
from hypothesis import strategies as st
from paretune.profiles.errors import UserError
from paretune.search.job.job import Job, load_job
from paretune.search.job.study_file import StudyFile, load_study_file

SECONDS = 5
WORKLOAD = """
import paretune

workload = paretune.Workload(name="w", teacher=lambda: None, splits=lambda: None, metric="accuracy")


def made(a=1, b="x"):
    return workload
"""
TEXTS = [
    """\
# A study that says little.
name: small
workload: work.py
profile: x86-avx2
budget: {trials: 10, time: 2 min}
""",
    """\
name: much
workload:
  file: work.py:made
  options: {a: 2, b: 'no'}
profile: raspberry-pi-4   # a comment
space: &space
  student: {macs: [0.5, 0.25], depth: 1.0}
  sparsity: [dense, 'channel:.50', unstructured:0.3]
  precision: [fp32, int8]
  backend: [ort, tflite]
  calibration: {method: [minmax], samples: [16, 128], per_channel: [yes]}
  distill: {temperature: [2, 4], weight: [0.7, 0]}
training: {epochs: 2, finetune_epochs: 1, learning_rate: 1e-3, batch: 32, patience: 2, threads: 1}
objectives: [accuracy, latency, size]
constraints:
  - accuracy >= teacher - 1 pt absolute
  - latency_p90 <= 3.00000001 ms
  - "size <= 25 % of teacher"
prefer: {accuracy: 2, latency: 0.5}
budget:
  trials: 4
sampler: tpe
stop: {gain: 0.1 %, proposals: 3}
gate: {margin: 1 pt, during_training: false}
ladder: {rungs: [calibration, qat], allowed_loss: 0.5 pt, time: 30 s, worth: 0.1 pt, qat_epochs: 1, draws: 1}
reference: {accuracy: 90 %, latency: 2 ms}
warm_start: [runs/old, other.yaml]
deploy: {batch: 2, threads: 1}
measure: {rounds: 9, finalist_rounds: 9, processes: 3}
guard: {open: 10 s, compile: 1 min, run: 30 s, memory: 2 GiB, user: 5 min}
finalists: 2
storage: sqlite:///study.db
store: ../store
runs: runs
seed: 7
""",
]
times = mostly("5 ms", "30 s", "2 min", "1.5 h", 3, 0.5, odd=["0 s", "1e9 d", "5 parsec"])
counts = mostly(st.integers(9, 64), odd=[0, -1, 5.0, 10**6, 10**7, 8])
shares = mostly("1 pt", "0.1 %", 0.01, "98 percent", odd=[0, 1, "-1 pt"])
precisions = st.sampled_from(["fp32", "fp16", "int8", "int8-dynamic", "int16x8", "int4-weight"])
metrics = st.sampled_from(
    [
        "accuracy",
        "latency",
        "latency_p90",
        "size",
        "memory",
        "parameters",
        "macs",
        "agreement",
        "load",
        "cosine",
    ]
)
amounts = st.sampled_from(
    ["5 ms", "3.00000001 ms", "1e2 us", "500 kB", "0.5 MiB", "98 %", "0.98", "1.2 M", "1 pt", "5", "teacher"]
) | st.sampled_from(
    ["25 % of teacher", "teacher - 1 pt absolute", "teacher + 2 % relative", "teacher - 5 ms"]
)
limits = st.builds("{} {} {}".format, metrics, st.sampled_from(["<=", ">=", "<", ">"]), amounts)
fitting = st.sampled_from(
    ["accuracy >= 69 %", "latency <= 5 ms", "size < 1 MB", "latency <= 25 % of teacher"]
)
sparsities = ["dense", "2:4", st.floats(0.01, 0.99).map("channel:{:.9f}".format), "unstructured:.5"]
GRAMMAR = st.fixed_dictionaries(
    {
        "name": mostly(st.from_regex(r"[a-z][a-z0-9._-]{0,9}", fullmatch=True), "a"),
        "workload": mostly("work.py", "work.py:made", {"file": "work.py:made", "options": {"a": 1}}),
        "budget": section({"trials": counts}, time=times) | section({"time": times}),
        "profile": mostly("x86-avx2", "raspberry-pi-5", "x86-avx512-vnni", odd=["nvidia-t4", "no"]),
    },
    optional={
        "space": section(
            student=section(macs=some(st.floats(0.01, 1), 1), depth=some(st.floats(0.01, 1), 0.5)),
            sparsity=some(*sparsities),
            precision=some(precisions),
            backend=some("ort", "tflite"),
            calibration=section(method=some("minmax"), samples=some(counts), per_channel=some(True, False)),
            distill=section(temperature=some(st.floats(0.5, 20), 4), weight=some(st.floats(0, 1))),
        ),
        "training": section(
            epochs=counts,
            finetune_epochs=counts,
            learning_rate=mostly(st.floats(1e-6, 1), odd=[0]),
            batch=counts,
            threads=counts,
        ),
        "objectives": mostly(st.lists(metrics, min_size=2, max_size=4, unique=True), ["accuracy", "latency"]),
        "constraints": some(fitting, fitting, fitting, limits),
        "prefer": mostly(st.dictionaries(st.sampled_from(["accuracy", "latency", "size"]), st.floats(0, 9))),
        "sampler": mostly("hardware-first", "tpe", "random"),
        "stop": mostly("never") | section(gain=shares, proposals=counts),
        "gate": section(margin=shares, during_training=mostly(True, False)),
        "ladder": mostly("never")
        | section(rungs=some("calibration", "qat"), allowed_loss=shares, time=times),
        "reference": mostly(
            {"accuracy": "90 %"}, {"latency": "5 ms"}, {"size": "3 kB", "accuracy": 0.5}, odd=[{"size": 5}]
        ),
        "warm_start": mostly(True, False, "runs/old", ["a.yaml", "b"]),
        "deploy": section(batch=counts, threads=counts),
        "measure": section(rounds=counts, finalist_rounds=counts, processes=mostly(st.integers(1, 64))),
        "guard": section(open=times, compile=times, run=times, user=times, memory=mostly("2 GiB", 10**9)),
        "finalists": mostly(st.integers(1, 12)),
        "storage": mostly("sqlite:///study.db", odd=["sqlite:////tmp/x?y.db", "postgresql://a:b@c/d", "x"]),
        "store": mostly("store", "../store", "folder", odd=["pipe.yaml"]),
        "runs": mostly("runs", "folder", odd=["pipe.yaml", "work.py"]),
        "seed": mostly(st.integers(0, 2**31)),
    },
)
VALUES = [yaml.safe_load(text) for text in TEXTS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    (folder / "work.py").write_text(WORKLOAD)
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe.yaml")
    return folder


def read(path: Path, content: bytes) -> Job | UserError:
    path.write_bytes(content)
    started = time.process_time()
    try:
        return load_job(path)
    except UserError as error:
        return error
    finally:
        assert time.process_time() - started < SECONDS


@given(content=contents(TEXTS, VALUES, GRAMMAR))
def test_a_study_file_is_a_job_or_one_message(folder, content):
    path = folder / "study.yaml"
    found = read(path, content)
    if isinstance(found, UserError):
        assert is_one_message(str(found))
        assert found.place
    else:
        again(path, found)


def again(path: Path, job: Job) -> None:
    """What was read, written and read again is the same."""
    path.write_text(written(json.loads(job.file.model_dump_json())), encoding="utf-8")
    assert load_study_file(path) == job.file
    assert {field.name for field in fields(job)} >= {"space", "limits"}
    assert job.space.size > 0


@pytest.mark.parametrize("text", TEXTS)
def test_what_the_fuzz_starts_from_is_right(folder, text):
    job = read(folder / "study.yaml", text.encode())
    assert isinstance(job, Job), job
    assert isinstance(job.file, StudyFile)
    again(folder / "study.yaml", job)
