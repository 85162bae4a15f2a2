"""Where a candidate was worked on: written where several could, and nothing otherwise."""

import json
from dataclasses import replace

from paretune.profiles.precision import Precision
from paretune.reports.pages.write import plain
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import EVALUATION, Evaluation, Outcome
from paretune.search.record.kept import read, storable, written
from paretune.search.record.where import MeasuredAhead, Where

ALONE = Evaluation(
    candidate=Candidate(backend="ort", precision=Precision.FP32), outcome=Outcome.FAILED, stage="x", cause="y"
)
AHEAD = MeasuredAhead(worker="worker 1", started=5e8, seconds=2.0, stages={"measure": 1.5})
WHERE = Where(worker="worker 0", device="pi-1", waited=0.5, seconds=3.0, ahead=(AHEAD,))


def test_a_study_without_workers_is_written_as_before_there_were_any():
    assert "where" not in json.loads(written(ALONE))
    assert "where" not in plain(ALONE)
    assert read(written(ALONE), 1) == ALONE


def test_where_an_evaluation_ran_is_kept():

    there = replace(ALONE, where=WHERE)
    assert storable(there) == there
    assert read(written(there), 1) == there
    assert plain(there)["where"] == json.loads(EVALUATION.dump_json(there))["where"]
