"""Bundles checked through all of it: files, runners, measurement, verdict."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from paretune.profiles.errors import UserError
from paretune.search.record.checks import DECISIONS, FILES, OUTPUTS, VERSIONS, CheckOutcome, NextStep
from paretune.search.verify import inspection
from paretune.search.verify.verify import verify
from running_bundles import MadeBundle, network

TESTS = str(Path(__file__).parent)
PASSED, FAILED, SKIPPED, NOTED = (
    CheckOutcome.PASSED,
    CheckOutcome.FAILED,
    CheckOutcome.SKIPPED,
    CheckOutcome.NOTED,
)


@pytest.fixture(autouse=True)
def one_process_each(monkeypatch):
    """The toy's latency is the same in each."""
    monkeypatch.setattr(inspection, "PROCESSES_HERE", 1)


def outcomes(checked):
    return {(check.subject, check.metric): check.outcome for check in checked.checks}


def of_bundle(checked):
    return {
        metric: outcome for (subject, metric), outcome in outcomes(checked).items() if subject == "the bundle"
    }


def test_a_damaged_file_fails_and_nothing_else_is_believed(made):
    for damage in (lambda path: path.write_bytes(path.read_bytes()[:-9]), lambda path: path.unlink()):
        damage(made.folder / "model.toy")
        found = of_bundle(verify(made.folder))
        assert found.pop(FILES) is FAILED
        assert set(found.values()) == {SKIPPED}
        assert verify(made.folder).exit_code == 2


@pytest.mark.parametrize(
    ("change", "problem"),
    [({"format": 99}, "newer"), ({"backend": "nobody"}, "nobody"), ({"threads": 0}, "damaged")],
)
def test_what_cannot_be_checked_is_an_error(made, change, problem):
    with pytest.raises(UserError, match=problem):
        verify(made.sealed(**change))


def test_a_folder_without_a_bundle_and_a_device_that_is_not_there_are_errors(made, tmp_path):
    for arguments in (
        (tmp_path, "host"),
        (tmp_path / "absent", "host"),
        (made.folder, "pixel-8"),
        (made.folder, "x"),
    ):
        with pytest.raises(UserError):
            verify(*arguments)


@pytest.mark.slow
def test_a_bundle_that_does_what_it_says_passes(made):
    found = verify(made.folder)
    assert (found.exit_code, found.advice) == (0, ())
    wanted = dict.fromkeys((FILES, VERSIONS, OUTPUTS, DECISIONS, "accuracy", "latency_ratio"), PASSED)
    assert of_bundle(found) == {**wanted, "latency_ms": NOTED, "memory_bytes": SKIPPED, "load_ms": SKIPPED}


@pytest.mark.slow
def test_other_weights_and_a_slower_model_fail_where_they_differ(made, tmp_path):
    network(made.folder / "model.toy", 16, seed=9, told_bytes=115_000)
    np.savez(tmp_path / "data.npz", x=made.inputs, targets=made.targets)
    found = verify(made.sealed(), data=tmp_path / "data.npz")
    assert outcomes(found)["data.npz", "accuracy"] is FAILED
    assert {metric for metric, outcome in of_bundle(found).items() if outcome is FAILED} == {
        OUTPUTS,
        DECISIONS,
        "accuracy",
        "latency_ratio",
    }
    assert [advice.step for advice in found.advice] == [NextStep.LOOK]


@pytest.mark.slow
def test_a_runtime_that_crashes_when_it_opens_fails(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(TESTS)
    made = MadeBundle(tmp_path / "bundle", backend="crashing:Crashing")
    found = verify(made.folder)
    assert of_bundle(found)[OUTPUTS] is FAILED
    assert of_bundle(found)["latency_ratio"] is SKIPPED
    assert any("signal 6" in check.reason for check in found.checks)


@pytest.mark.slow
def test_a_runtime_that_is_not_installed_is_named_with_its_version(made, monkeypatch):
    monkeypatch.delenv("PARETUNE_TOY")
    with pytest.raises(UserError) as error:
        verify(made.folder)
    assert "pip install paretune-toy==1" in error.value.remedy


@pytest.mark.slow
def test_an_old_bundle_of_another_machine_and_version_is_checked_as_far_as_it_goes(tmp_path):
    made = MadeBundle(tmp_path / "bundle", regression=True)
    np.savez(made.folder / "sample.npz", x=made.inputs[:4])
    np.savez(made.folder / "expected.npz", y=made.outputs[:4])
    (made.folder / "samples.npz").unlink()
    del made.manifest["samples"], made.manifest["reference"]
    made.manifest["metrics"] |= {"memory_bytes": {"value": 1e6}, "load_ms": {"value": 5}}
    told = {**made.manifest["environment"], "processor": "another"}
    folder = made.sealed(
        format=1,
        sample="sample.npz",
        expected="expected.npz",
        versions={"paretune-toy": "0.9"},
        environment=told,
    )
    found = verify(folder)
    assert found.exit_code == 0
    assert of_bundle(found) == {
        FILES: PASSED,
        VERSIONS: CheckOutcome.WARNING,
        OUTPUTS: PASSED,
        DECISIONS: SKIPPED,
        "rmse": SKIPPED,
        "latency_ratio": SKIPPED,
        "latency_ms": NOTED,
        "memory_bytes": NOTED,
        "load_ms": NOTED,
    }


@pytest.mark.slow
def test_a_board_checks_a_bundle_that_was_made_here(made, native_board):
    native_board.set(PARETUNE_TOY="1")
    profile = native_board.write_profile(made.folder.parent)
    found = verify(made.folder, str(profile))
    assert of_bundle(found)[OUTPUTS] is PASSED
    assert of_bundle(found)["latency_ratio"] is PASSED
    assert found.environment["device"] == "board"


@pytest.mark.slow
def test_the_command_needs_neither_torch_nor_a_study_and_writes_what_it_found(made, tmp_path):
    script = (
        "import sys; from paretune.search.verify import inspection; inspection.PROCESSES_HERE = 1;"
        "from paretune.cli import app; code = app(sys.argv[1:], standalone_mode=False);"
        "print(sorted({'torch', 'optuna', 'onnxruntime'} & sys.modules.keys()), code)"
    )
    asked = [sys.executable, "-c", script, "verify", made.folder, "--json", tmp_path / "found.json"]
    done = subprocess.run(list(map(str, asked)), capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[] 0", done.stderr
    told = json.loads((tmp_path / "found.json").read_text())
    assert (told["passed"], {check["metric"] for check in told["checks"]} >= {FILES, OUTPUTS}) == (True, True)
