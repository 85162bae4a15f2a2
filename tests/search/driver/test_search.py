"""What decides a search, apart from any study: it learns and answers; the budget says when to end."""

import optuna
import pytest
from optuna.samplers import RandomSampler
from paretune.profiles.precision import Precision
from paretune.search.driver.budget import Budget
from paretune.search.driver.search import Search
from paretune.search.gate.gate import Gate
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Limit, Objective, Quantity
from paretune.search.record.protocols import Hardware, Standard
from paretune.search.record.quality import QualityScale
from paretune.search.record.stops import Interrupted

CANDIDATE = Candidate(backend="ort", precision=Precision.INT8, student=(("width", 1),))
SLOW = Hardware(metrics={"latency_ms": Quantity(value=3.0, low=2.9, high=3.1)})
STANDARD = Standard(
    reference_ms=4.0, limits=(Limit(text="latency <= 1 ms", metric="latency_ms", upper=True, bound=1.0),)
)
OBJECTIVES = (
    Objective(metric="accuracy", higher_is_better=True),
    Objective(metric="latency_ms", higher_is_better=False),
)


def test_without_a_gate_everything_is_trained_and_nothing_is_asked_for():
    search = Search(RandomSampler(seed=0))
    search.settle(STANDARD)
    assert search.before_training(CANDIDATE, SLOW) is None
    assert search.worth_climbing(CANDIDATE, SLOW.metrics, 0.1)
    assert search.wants(optuna.create_study(), survey=True) is None
    assert (search.finished(), search.proposal(0), search.remarks) == ("", None, ())


def test_the_gate_judges_by_what_the_reference_settled():
    search = Search(RandomSampler(seed=0), Gate(OBJECTIVES, QualityScale.of("accuracy"), margin=0.01))
    assert search.standard == Standard()
    assert search.before_training(CANDIDATE, SLOW) is None
    search.settle(STANDARD)
    assert search.standard == STANDARD
    assert "latency <= 1 ms" in search.before_training(CANDIDATE, SLOW).reason
    assert not search.worth_climbing(CANDIDATE, SLOW.metrics, 0.9)


def test_what_is_untimed_goes_on_where_the_time_is_used_up_until_a_stop_is_asked_for():
    now = [0.0]
    budget = Budget(trials=None, seconds=10, clock=lambda: now[0])
    now[0] = 100.0
    budget.checkpoint()  # nothing counts before the start
    budget.start(spent_seconds=4.0)
    budget.checkpoint()
    now[0] += 6.0
    with budget.untimed():
        budget.checkpoint()
    with pytest.raises(Interrupted, match="10 s is used up"):
        budget.checkpoint()
    budget.stop.request()
    with budget.untimed(), pytest.raises(Interrupted, match="interrupted"):
        budget.checkpoint()


def test_time_that_is_kept_back_ends_the_search_and_not_what_it_is_kept_for():
    now = [0.0]
    budget = Budget(trials=None, seconds=100, clock=lambda: now[0])
    budget.start()
    now[0], budget.reserve = 80.0, 15.0
    assert (budget.exhausted(3), budget.seconds_left) == ("", 5.0)
    now[0] = 85.0
    assert "100 s is used up" in budget.exhausted(3)
    with budget.untimed():
        assert budget.seconds_left == 15.0
    budget.start(spent_seconds=10.0)
    assert budget.elapsed_seconds == 95.0, "set-up counts from the first start"
