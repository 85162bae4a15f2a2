"""A setting is chosen only where it holds afresh what the search promised: rounds of known times, with the
noise that rounds and processes have on this machine."""

from dataclasses import replace

import numpy as np
import pytest
from paretune.backends.measure.samples import Block, LatencyPlan, Rounds, Series, WarmUp
from paretune.backends.measure.spread import Spread
from paretune.profiles.quantity import Quantity
from paretune.search.evaluation.as_deployed import AsDeployed
from paretune.search.evaluation.confirmed import Confirmation, Sides
from paretune.search.evaluation.options import Proposed
from paretune.search.record.evaluation import Limit, StudyRecord
from paretune.search.record.setting import Setting
from paretune.search.stages.deployment.tries import Deployable
from paretune.search.stages.deployment.walk import OptionsWalk

BETWEEN_PROCESSES, BETWEEN_ROUNDS = 0.005, 0.008
USUAL = Setting(threads=1, batch=1)
TOLD = Setting(threads=1, batch=1, options=(("pace", "run"),))


class Kept:
    """In the place of an entry of the store."""

    def __init__(self, key):
        self.key = key


def side(setting, key="one"):
    how = Deployable(compiled=Kept(key), backend="ort", setting=setting)
    return AsDeployed(contender=how, score=Quantity(value=0.9), side_effects={})


def sides(number=0, **others):
    walk = OptionsWalk(USUAL, lambda setting: ())
    return Sides(number=number, default=side(USUAL), proposed=Proposed(walk=walk), **others)


def rounds_of(times_ms, rng, processes=5, rounds=40):
    """Rounds in which each subject takes so long for a run, but for noise."""
    return Rounds(
        plan=LatencyPlan(),
        order=tuple(tuple(times_ms) for _ in range(rounds)),
        series={
            name: Series(
                loops=1,
                processes=processes,
                warm_up=WarmUp(seconds=0.2, settled=True),
                blocks=blocks(ms, rng, processes, rounds),
            )
            for name, ms in times_ms.items()
        },
    )


def blocks(ms, rng, processes, rounds):
    own = ms * np.exp(rng.normal(0, BETWEEN_PROCESSES, processes))
    least = own[np.arange(rounds) % processes] * np.exp(rng.normal(0, BETWEEN_ROUNDS, rounds))
    slower = 1 + np.abs(rng.normal(0, 0.02, (rounds, 2)))
    return tuple(
        Block(
            process=i % processes,
            samples=(int(1e6 * least[i]), *(int(1e6 * least[i] * more) for more in slower[i])),
            singles=(),
        )
        for i in range(rounds)
    )


def record(*limits):
    none = {"name": "s", "study_text": "", "workload": "w", "profile": "host", "quality": "accuracy"}
    return StudyRecord(**none, objectives=(), limits=limits, trials=())


def settled(one, times_ms, seed=0, limits=(), spread=None, **how):
    rounds = rounds_of(times_ms, np.random.default_rng(seed), **how)
    return Confirmation(record=record(*limits), rounds=rounds, spread=spread).settled([one])[0]


@pytest.mark.parametrize(
    ("processes", "spread"),
    [(5, None), (1, Spread(deviation=BETWEEN_PROCESSES, processes=5)), (1, None)],
    ids=["several processes", "one process", "one process of unknown spread"],
)
def test_options_that_do_nothing_win_in_at_most_one_of_twenty_tries(processes, spread):
    one = sides(best=side(TOLD))
    how = {"processes": processes, "spread": spread}
    wins = [settled(one, {"0": 2.0, "0 by options": 2.0}, seed, **how) for seed in range(100)]
    assert sum(w.options.chosen == TOLD for w in wins) <= 5


def test_a_gain_beyond_error_is_chosen_with_its_fresh_ratio():
    found = settled(sides(best=side(TOLD)), {"0": 2.0, "0 by options": 1.8})
    ratio = found.options.ratio_to_default
    assert (found.name, found.options.chosen) == ("0 by options", TOLD)
    assert ratio.low < 0.9 < ratio.high < 1
    assert found.options.rejected is None


def test_what_does_not_hold_is_kept_as_rejected_and_the_default_stays():
    found = settled(sides(best=side(TOLD)), {"0": 2.0, "0 by options": 2.1})
    assert (found.name, found.options.chosen, found.options.ratio_to_default) == ("0", USUAL, None)
    assert found.options.rejected.setting == TOLD
    assert found.options.rejected.ratio_to_default.value > 1


def test_batches_are_compared_by_the_sample_and_a_limit_holds_for_the_run():
    eight = Setting(threads=1, batch=8)
    one = sides(at_batch=side(eight, "eight"))
    times = {"0": 2.0, "0 at the batch": 8.0}
    found = settled(one, times)
    assert found.options.chosen == eight
    assert found.options.artifact_key == "eight"
    assert found.options.ratio_to_default.value == pytest.approx(0.5, abs=0.02)
    limit = Limit(text="latency <= 5 ms", metric="latency_ms", upper=True, bound=5.0)
    assert settled(one, times, limits=(limit,)).options.chosen == USUAL
    missed = Limit(text="latency <= 1 ms", metric="latency_ms", upper=True, bound=1.0)
    assert settled(one, times, limits=(missed,)).options.chosen == USUAL


def test_the_best_ranked_decides_on_the_batch_for_all():
    eight = Setting(threads=1, batch=8)
    first, other = (sides(number, at_batch=side(eight, "eight")) for number in (0, 1))
    times = {"0": 2.0, "1": 2.0, "1 at the batch": 8.0}
    for whole, batch in ((8.0, 8), (17.0, 1)):
        rounds = rounds_of({**times, "0 at the batch": whole}, np.random.default_rng(0))
        found = Confirmation(record=record(), rounds=rounds, spread=None).settled([first, other])
        assert [one.options.chosen.batch for one in found] == [batch, batch]


def test_options_that_turn_out_to_miss_a_limit_are_left_for_that_reason():
    found = settled(sides(best=side(TOLD)), {"0": 2.0, "0 by options": 1.8})
    plain = found.without_options("over the limit memory <= 64 MB: 70 MB")
    assert (plain.name, plain.options.chosen, plain.options.ratio_to_default) == ("0", USUAL, None)
    assert (plain.options.rejected.setting, plain.options.rejected.note[:4]) == (TOLD, "over")
    assert plain.without_options("again") == plain


@pytest.mark.parametrize("broken", ["0", "0 by options"])
def test_what_breaks_while_it_is_measured_afresh_is_not_chosen(broken):
    rounds = rounds_of({"0": 2.0, "0 by options": 1.0}, np.random.default_rng(0))
    rounds = replace(rounds, failed={broken: ("run", "killed by signal 11", "")})
    one = Confirmation(record=record(), rounds=rounds, spread=None).settled([sides(best=side(TOLD))])[0]
    assert one.options.chosen == USUAL
    assert "signal 11" in one.options.rejected.note
