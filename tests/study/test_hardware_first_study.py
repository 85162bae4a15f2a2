"""Studies searched hardware-first, from the file to the record, on the `toy` backend."""

import pytest
from paretune.search.driver.counters import MEASURED_PER_TRIAL
from paretune.search.gate.audit import audit_text
from paretune.search.record.evaluation import Outcome
from paretune.search.run.session import run_study
from paretune.search.sampler import survey

pytestmark = pytest.mark.slow

SPACE = {
    "student": {"width": [4, 8, 16, 24]},
    "precision": ["fp32", "int8"],
    "backend": ["toy"],
    "calibration": {"samples": [16]},
}


@pytest.fixture(autouse=True)
def measured_first(monkeypatch):
    """As where trainings are dear, which they are not here."""
    monkeypatch.setattr(survey, "MEASURED_FIRST", 0.0)


def own(record):
    return [t.evaluation for t in record.trials if t.duplicate_of is None]


def of(record, outcome):
    return [e for e in own(record) if e.outcome is outcome]


def trained(evaluation):
    return [s for s in evaluation.stages if s.name in ("distill", "prune") and not s.cached]


def test_a_study_is_searched_hardware_first_unless_it_says_otherwise(bench, shared_store):
    record = run_study(bench.study(store=shared_store, space=SPACE, budget={"trials": 14})).record
    assert record.sampler == "hardware-first"
    assert record.counters["measured"] > 0
    proposed = [e.proposal for e in own(record) if e.proposal is not None]
    assert {p.by for p in proposed} <= {"start", "gain", "random"}
    assert [p for p in proposed if p.by == "gain"]
    assert not [e for e in own(record) if e.baseline and e.proposal is not None]
    for proposal in proposed:
        if proposal.by == "gain":
            assert proposal.seconds > 0
            assert proposal.quality.provenance == "estimated"
            assert 0 <= proposal.quality.low <= proposal.quality.value <= proposal.quality.high <= 1
    digests = [t.evaluation.candidate.digest for t in record.trials]
    assert len(set(digests)) == len(digests), "nothing is proposed twice"
    # Others that use this machine may make one of its cores the slower one, which is told.
    assert all("by measured speed" in remark for remark in record.remarks)
    assert record.audit == ()

    # A sibling study of the same workload starts from what this one learned, and says so.
    sibling = run_study(
        bench.study("sibling", store=shared_store, space=SPACE, finalists=1, budget={"trials": 2}, seed=5)
    ).record
    assert any("of blobs of the same workload" in remark for remark in sibling.remarks)


def test_a_budget_counts_what_was_trained_or_scored_and_an_audit_trains_what_was_gated(bench, shared_store):
    path = bench.study(
        "limited",
        store=shared_store,
        space=SPACE,
        constraints=["parameters <= 300"],
        budget={"trials": 5},
        stop="never",
        finalists=1,
    )
    record = run_study(path, audit=1.0).record
    gated = of(record, Outcome.GATED)
    assert gated
    only_measured = [e for e in gated if not e.stopped_epoch]
    assert not any(trained(e) for e in only_measured)
    paid = len(own(record)) - len(only_measured) - len(of(record, Outcome.REFUSED))
    assert record.stopped == "the budget of 5 trials is used up"
    assert paid + len(only_measured) // MEASURED_PER_TRIAL == 5
    assert len(own(record)) > paid

    # All that the gate stopped was trained after all; limits on the device were not a matter of luck.
    numbers = [t.number for t in record.trials if t.evaluation.outcome is Outcome.GATED]
    assert [audited.number for audited in record.audit] == numbers
    over = [a for a in record.audit if a.evaluation.outcome is Outcome.COMPLETE]
    assert over
    assert all(a.evaluation.metrics["accuracy"].value >= 0 for a in over)
    over_limit = {t.number for t in record.trials if "Parameters" in t.evaluation.reason}
    assert over_limit
    assert not [a.number for a in record.audit if a.number in over_limit and a.on_front]
    assert f"{len(numbers)} of {len(numbers)} gated candidates" in audit_text(record)

    # What was audited stays, and is not trained again.
    again = run_study(path, audit=1.0).record
    assert again.audit == record.audit
    assert again.trials == record.trials


def test_without_gate_in_training_no_training_is_given_up(bench, shared_store):
    record = run_study(
        bench.study(
            "patient",
            store=shared_store,
            space=SPACE,
            budget={"trials": 6},
            finalists=1,
            stop="never",
            gate={"during_training": False},
            training={"epochs": 6, "finetune_epochs": 1, "learning_rate": 0.01, "batch": 16},
        )
    ).record
    assert not [e for e in own(record) if e.stopped_epoch]
    assert of(record, Outcome.COMPLETE)


def test_the_stop_rule_ends_a_search_and_never_does_not(bench, shared_store):
    changes = {"store": shared_store, "space": SPACE, "budget": {"trials": 12}, "finalists": 1}
    eager = run_study(bench.study("eager", stop={"gain": 0.9, "proposals": 1}, **changes)).record
    assert "raise the hypervolume by less than 90 %" in eager.stopped
    assert len(own(eager)) < 10
    steady = run_study(bench.study("steady", stop="never", **{**changes, "budget": {"trials": 6}})).record
    assert "hypervolume" not in steady.stopped
    assert steady.stopped


def test_a_resumed_search_goes_on_without_asking_twice(bench, shared_store):
    changes = {"store": shared_store, "space": SPACE, "finalists": 1}
    first = run_study(bench.study("halted", budget={"trials": 4}, **changes)).record
    second = run_study(bench.study("halted", budget={"trials": 6}, **changes)).record
    assert second.trials[: len(first.trials)] == first.trials
    assert len(second.trials) > len(first.trials)
    assert not [t for t in second.trials if t.duplicate_of is not None]
    assert second.counters["duplicates"] == 0
