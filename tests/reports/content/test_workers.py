"""What several workers did: sums, shares, one sentence, one chart; from records of trials alone."""

from dataclasses import replace
from itertools import count, pairwise

import pytest
from paretune.profiles.precision import Precision
from paretune.reports.charts.worker_times import MOST_BARS, worker_times_figure
from paretune.reports.content.where import where_lines
from paretune.reports.content.work_times import (
    KINDS,
    MEASURING,
    OTHER,
    READY,
    TRAINING,
    WAITING,
    pieces,
    tasks,
)
from paretune.reports.content.workers import workers_section, workers_shown
from paretune.reports.pages.page import html_page, markdown_report
from paretune.reports.pages.table import trial_table
from paretune.reports.pages.write import report_json
from paretune.search.ranking.reading import read
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import (
    Evaluation,
    Outcome,
    Quantity,
    StageRecord,
    StudyRecord,
    TrialRecord,
)
from paretune.search.record.where import MeasuredAhead, Where

BEGAN = 1.7e9
CANDIDATE = Candidate(backend="ort", precision=Precision.FP32)


def trial(number, worker, start, stages, *, waited=0.0, handed_out=None, device="", ahead=(), more=0.0):
    """One that began `start` seconds after the study; `more` is what was between its stages."""
    made = tuple(
        StageRecord(name=name, key=f"{name} {number}", cached=False, seconds=seconds)
        for name, seconds in stages.items()
    )
    seconds = sum(stages.values()) + waited + more
    where = Where(worker=worker, device=device, seconds=seconds, waited=waited, ahead=ahead)
    found = Evaluation(
        candidate=CANDIDATE, outcome=Outcome.FAILED, stage="x", cause="y", stages=made, where=where
    )
    handed = start if handed_out is None else handed_out
    whole = start + seconds - handed
    return TrialRecord(number=number, evaluation=found, started=BEGAN + handed, seconds=whole)


def record_of(study: StudyRecord, *trials: TrialRecord) -> StudyRecord:
    return replace(study, trials=trials, finalists=(), audit=(), unconfirmed=(), baseline=None)


def alike(workers, rounds, stages, **more):
    """Workers that do the same, one trial after the other."""
    numbers, each = count(1), sum(stages.values()) + more.get("waited", 0.0) + more.get("rest", 0.0)
    more.pop("rest", None)
    return [
        trial(next(numbers), f"worker {worker}", turn * each, stages, **more)
        for turn in range(rounds)
        for worker in range(workers)
    ]


def test_parts_of_a_trial_are_in_their_order_with_the_wait_before_the_measurement(study):
    one = trial(
        1, "a", 10.0, {"distill": 8.0, "compile": 1.0, "measure": 2.0, "score": 1.0}, waited=3.0, more=0.5,
        handed_out=4.0,
    )  # fmt: skip
    (task,) = tasks(record_of(study, one))
    found = pieces(task)
    assert [(piece.kind, round(piece.seconds, 3)) for piece in found] == [
        (READY, 6.0), (TRAINING, 8.0), ("export, compile", 1.0), (WAITING, 3.0), (MEASURING, 2.0),
        ("scoring", 1.0), (OTHER, 0.5),
    ]  # fmt: skip
    assert found[0].start == BEGAN + 4.0
    assert all(earlier.end == later.start for earlier, later in pairwise(found))


def test_seconds_of_each_worker_and_of_each_device(study):
    ahead = MeasuredAhead(worker="w 10", started=BEGAN + 20, seconds=6.0, stages={"measure": 4.0}, waited=1.0)
    shown = workers_shown(
        record_of(
            study,
            trial(1, "w 2", 0.0, {"distill": 30.0, "measure": 10.0}),
            trial(2, "w 10", 0.0, {"measure": 10.0}, waited=10.0, ahead=(ahead,)),
        )
    )
    assert shown.seconds == 40.0
    two, ten = shown.workers
    assert (two.name, two.trials, two.untrained, two.idle) == ("w 2", 1, 0, 0.0)
    assert (ten.name, ten.trials, ten.untrained, ten.idle) == ("w 10", 1, 1, pytest.approx(14 / 40))
    assert ten.seconds[WAITING] == 11.0
    assert ten.seconds[MEASURING] == 14.0
    (device,) = shown.devices
    assert (device.name, device.measurements, device.waited) == (study.profile, 3, 11.0)
    assert device.in_use == pytest.approx(24 / 40)


def test_the_night_between_two_sessions_is_nobodys_idle_time_nor_is_a_session_of_others(study):
    night = 36_000.0
    shown = workers_shown(
        record_of(
            study,
            *[trial(n, f"w {n}", 0.0, {"distill": 50.0}) for n in (0, 1)],
            *[trial(n, f"w {n - 1}", night, {"distill": 50.0}) for n in (2, 3)],
        )
    )
    assert shown.seconds == 100.0
    assert [worker.there for worker in shown.workers] == [50.0, 100.0, 50.0]
    assert [worker.idle for worker in shown.workers] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("trials", "limited"),
    [
        (
            [trial(1, "a", 0, {"measure": 49.0}), trial(2, "b", 0, {"measure": 42.0}, waited=58.0)],
            "The one device was in use 91 % of the time: more workers would not help; a second device would.",
        ),
        (
            alike(2, 4, {"distill": 1.0, "measure": 3.0}, waited=6.0),
            "Workers waited for the device 60 % of their time, and the one device was in use 60 % of the "
            "time: more workers would help little; a second device would help more.",
        ),
        (
            [trial(1, "a", 0, {"distill": 100.0}), trial(2, "b", 0, {"distill": 10.0})],
            "Workers had nothing to do 45 % of the time: there was not always a candidate for each of them, "
            "and fewer would have done.",
        ),
        (
            [trial(n, f"w {n}", 30.0, {"distill": 20.0}, handed_out=0.0) for n in range(2)],
            "Workers made themselves ready for 60 % of the time: the study was a short one.",
        ),
        (
            alike(4, 3, {"distill": 18.0, "measure": 1.0}, waited=1.0),
            "Workers were at work 95 % of the time, 90 % in training, and the one device was in use 20 % of "
            "the time: more workers would help.",
        ),
        (  # the third one is the first, started anew under another name
            [trial(n, w, 50 * (w == "c"), {"distill": 100 - 50 * (w != "b")}) for n, w in enumerate("abc")],
            "Workers were at work 100 % of the time, 100 % in training, and the one device was in use 0 % of "
            "the time: more workers would help.",
        ),
        (
            [
                trial(1, "a", 0, {"measure": 80.0, "distill": 20.0}, device="pi-1"),
                trial(2, "b", 0, {"measure": 90.0, "distill": 10.0}, device="pi-2"),
            ],
            "The 2 devices were in use 85 % of the time on average: more workers would not help; another "
            "device would.",
        ),
    ],
)
def test_what_limited_the_study(study, trials, limited):
    assert workers_shown(record_of(study, *trials)).limited == limited


def test_one_worker_or_none_has_no_section_and_changes_no_page(study):
    reading = read(study)
    assert workers_section(study) is None
    assert worker_times_figure(study) is None
    alone = record_of(study, trial(1, "a", 0, {"distill": 1.0}))
    assert workers_section(alone) is None
    assert worker_times_figure(alone) is None
    assert "h-workers" not in html_page(reading)
    assert "## Workers" not in markdown_report(reading)
    assert '"workers"' not in report_json(reading)
    assert "worker" not in trial_table(reading).columns


def test_the_pages_have_what_workers_did(study):
    ran = [replace(t, evaluation=replace(t.evaluation, where=_at(t.number))) for t in study.trials]
    several = replace(study, trials=tuple(ran))
    reading = read(several)
    assert "plot-workers" in html_page(reading)
    assert "## Workers" in markdown_report(reading)
    assert '"limited"' in report_json(reading)
    assert set(trial_table(reading)["worker"].dropna()) == {"worker 0", "worker 1", "worker 2"}
    own = next(t for t in ran if t.duplicate_of is None)
    assert where_lines(own) == [
        f"It ran on worker {own.number % 3} for 2 s, 0.5 s of them until pi-1 was free.",
        "It was measured on pi-1, where the reference took 1.2 ms.",
    ]


def _at(number: int) -> Where:
    took = Quantity(value=1.2)
    return Where(worker=f"worker {number % 3}", device="pi-1", reference_ms=took, waited=0.5, seconds=2.0)


def test_many_workers_and_trials_are_drawn_by_few_bars_in_their_order(study):
    stages = {"distill": 20.0, "compile": 1.0, "measure": 2.0, "score": 1.0}
    figure = worker_times_figure(record_of(study, *alike(64, 40, stages, waited=2.0)))
    assert figure["layout"]["yaxis"]["categoryarray"] == [f"worker {n}" for n in range(64)]
    assert next(trace["name"] for trace in figure["data"]) == TRAINING
    assert {trace["name"] for trace in figure["data"]} <= set(KINDS)
    bars = sum(len(trace["x"]) for trace in figure["data"])
    assert 64 * 40 * len(stages) > MOST_BARS
    assert bars <= 64 * 240
    trained = sum(figure["data"][0]["x"]) * 60
    assert trained == pytest.approx(64 * 40 * 20.0, rel=0.2)
