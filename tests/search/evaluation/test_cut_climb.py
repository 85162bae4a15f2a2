"""A candidate that is complete stays so where its climb has no time left; a stop that was asked for keeps it
for the next session."""

from types import SimpleNamespace

import pytest
from paretune.profiles.precision import Precision
from paretune.search.driver.budget import Budget, StopFlag
from paretune.search.evaluation.evaluator import Evaluator
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Evaluation, Outcome
from paretune.search.record.protocols import TrainEverything
from paretune.search.record.stops import Interrupted

CANDIDATE = Candidate(backend="b", precision=Precision.INT8)


class CutEvaluator(Evaluator):
    """Its candidates are complete at once; the climb ends by what it is given."""

    def __init__(self, stop, seconds_left):
        climbs = SimpleNamespace(float_quality=lambda found: 0.9, climb=self.climb, may_mend=lambda *_: False)
        climbs.seconds_left = lambda: seconds_left
        models = SimpleNamespace(trains=lambda candidate: False)
        tuner = SimpleNamespace(budget_of=lambda backend: None)
        device = SimpleNamespace(tuner=tuner)
        super().__init__(SimpleNamespace(models=models, device=device, checkpoint=lambda: None), climbs)
        self.stop = stop

    def climb(self, *_, **__):
        self.stop()

    def _as_treated(self, known, *_, **__):
        return Evaluation(candidate=CANDIDATE, outcome=Outcome.COMPLETE)


def test_what_would_not_end_in_time_costs_the_candidate_nothing():
    budget = Budget(trials=None, seconds=100.0)
    cut = CutEvaluator(lambda: budget.afford(200.0, "scoring it"), 100.0)
    found = cut.evaluate(CANDIDATE, TrainEverything())
    assert found.outcome is Outcome.COMPLETE
    assert any("scoring it" in note for note in found.notes)


def test_a_stop_that_was_asked_for_leaves_it_to_the_next_session():
    budget = Budget(trials=None, seconds=100.0, stop=StopFlag(count=1))
    with pytest.raises(Interrupted):
        CutEvaluator(budget.checkpoint, 100.0).evaluate(CANDIDATE, TrainEverything())
