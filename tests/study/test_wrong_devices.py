"""A board whose runtime computes wrongly at int8, through the command line: nothing of it is recommended, the
report says so first, and once the board is mended the study goes on from there."""

import pytest
from paretune.search.record.evaluation import Outcome
from paretune.search.run.stored import open_run
from study.conftest import TESTS
from wrong_there import NAME

pytestmark = pytest.mark.slow

SPACE = {"student": {"width": [8]}, "precision": ["fp32", "int8"], "backend": [NAME]}


def trials(study):
    return {trial.evaluation.candidate.title: trial.evaluation for trial in open_run(study)[0].trials}


def test_a_runtime_that_computes_wrongly_until_it_is_mended(bench, native_board, shared_store):
    native_board.set(PYTHONPATH=TESTS, PARETUNE_TOY="1", PARETUNE_WRONG="int8 noise")
    native_board.write_profile(bench.root)
    measure = {"rounds": 9, "finalist_rounds": 9}
    usual = {
        "profile": "./board.yaml",
        "space": SPACE,
        "finalists": 1,
        "store": shared_store,
        "measure": measure,
    }
    study = bench.study(budget={"trials": 2}, **usual)
    done = bench.process("run", study)
    assert done.returncode == 0, done.stderr
    wrong = next(e for e in trials(study).values() if str(e.candidate.precision) == "int8")
    assert wrong.outcome is Outcome.FAILED
    assert (wrong.agreement.agrees, wrong.ladder) == (False, ())
    report = bench.root / "runs" / "blobs" / "report"
    first = (report / "report.md").read_text().split("## Candidates")[0]
    assert f"{wrong.agreement.device} computes wrongly" in first
    assert "computes wrongly" in done.stdout

    native_board.set(PARETUNE_WRONG="")
    done = bench.process("run", study, "--again")
    assert done.returncode == 0, done.stderr
    found = trials(study)
    assert {e.outcome for e in found.values()} == {Outcome.COMPLETE}
    assert {e.agreement.agrees for e in found.values()} == {True}
    timing = open_run(study)[0].timing
    assert (timing.processes, len(timing.cores)) == (5, 1), "five processes, on one core there"
