"""A board of another architecture, from bare to a study, through the command line alone."""

import re

import pytest
from paretune.search.record.evaluation import Outcome
from paretune.search.run.stored import open_run
from study.conftest import Bench

pytestmark = pytest.mark.slow

SPACE = {
    "student": {"width": [8]},
    "precision": ["fp32", "int8"],
    "backend": ["tflite"],
    "calibration": {"samples": [16]},
}
SETUP = ("devices", "setup", "--backend", "tflite")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def prepared(emulated_board, bench):
    """The board made ready, and its profile."""
    profile = emulated_board.write_profile(bench.root)
    done = bench.process(*SETUP, profile)
    assert done.returncode == 0, done.stderr
    return emulated_board, profile


def there(board, pattern):
    """Files of what was brought to the board."""
    found = sorted((board.home / ".cache/paretune/device").rglob(pattern))
    assert found, pattern
    return found


def test_a_bare_board_is_made_ready_once_and_another_runner_there_is_replaced(prepared, bench):
    board, profile = prepared
    before = len(board.commands())
    again = bench.process(*SETUP, profile)
    assert (again.returncode, "nothing to do" in again.stdout + again.stderr) == (0, True)
    assert len(board.commands()) - before <= 3
    for file in there(board, "runner/frames.py"):
        file.write_bytes(re.sub(rb"runner-frames-\d+", b"runner-frames-99", file.read_bytes()))
    other = bench.process("devices", profile)
    assert other.returncode == 1
    assert "devices setup" in other.stderr
    mended = bench.process(*SETUP, profile)  # ends well where the runner that was brought has answered
    assert mended.returncode == 0, mended.stderr


def test_a_study_there_tells_crashes_and_wrong_kernels_from_bad_models(prepared, bench):
    """Its processor is another one while the quantized models are at work: one computes nonsense, one ends by
    an illegal instruction. Neither is shipped, and the version that the device says it has is told.
    """
    board, profile = prepared
    (metadata,) = there(board, "ai_edge_litert-*.dist-info/METADATA")
    metadata.write_text(re.sub("(?m)^Version: .*", "Version: 2.2.9", metadata.read_text()))
    study = bench.study(profile=str(profile), space=SPACE, budget={"trials": 4}, finalists=1)
    told = []
    with bench.command("run", study) as process:
        for line in process.stderr:
            told.append(line)
            if "teacher, fp32" in line:
                board.set(QEMU_CPU="max")
            elif "teacher, int8" in line:
                board.set(QEMU_CPU="a64fx")
        out, code = process.stdout.read(), process.wait(30)
    assert code == 0, told
    record = open_run(bench.root / "runs" / "blobs")[0]
    found = {(bool(e.candidate.student), e.candidate.precision.value): e for e in evaluations(record)}
    assert found[False, "fp32"].outcome is found[True, "fp32"].outcome is Outcome.COMPLETE
    wrong, crashed = found[False, "int8"], found[True, "int8"]
    assert (wrong.outcome, wrong.stage) == (Outcome.FAILED, "agree")
    assert crashed.outcome is Outcome.FAILED
    assert "illegal instruction" in crashed.cause
    assert wrong.agreement.there["ai-edge-litert"] == "2.2.9" != wrong.agreement.here["ai-edge-litert"]
    assert "computes wrongly" in out


def evaluations(record):
    return [trial.evaluation for trial in record.trials if trial.duplicate_of is None]
