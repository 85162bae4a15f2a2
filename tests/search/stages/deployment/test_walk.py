"""The order in which settings are tried, against made-up devices whose times are known."""

from dataclasses import replace

from paretune.profiles.quantity import Quantity
from paretune.search.record.options import Axis
from paretune.search.record.setting import Setting
from paretune.search.stages.deployment.walk import MOST_ROUNDS, OptionsWalk, common_batch

DEFAULT = Setting(threads=1, batch=1)
THREADS = Axis(name="threads", default="1", values=("2", "4"))
BATCH = Axis(name="batch", default="1", values=("8", "32"), compiled=True)
ARENA = Axis(name="arena", default="on", values=("off",))
OPSET = Axis(name="opset", default="18", values=("17", "21"), compiled=True, exact=False)
SPINNING = Axis(name="spinning", default="off", values=("on",))


def axes(setting):
    return (THREADS, ARENA, OPSET, *((SPINNING,) if setting.threads > 1 else ()))


def walked(time_of, found=axes, failing=()):
    """The walk to its end, and what it has asked for in each round."""
    walk, asked = OptionsWalk(DEFAULT, found), []
    while wanted := walk.proposals():
        asked.append(wanted)
        broken = {one: "does not open" for one in wanted if one in failing}
        known = [one for one in wanted if one not in broken]
        walk.learn({one: Quantity(value=time_of(one) / time_of(DEFAULT)) for one in known}, broken)
    return walk, asked


def test_each_value_comes_alone_first_then_gains_together_and_what_has_a_meaning_only_there():
    def time_of(one):
        told = dict((*one.options, *one.compiled_with))
        return (
            10 / one.threads**0.5
            * (0.9 if told.get("arena") == "off" else 1)
            * (0.8 if told.get("spinning") == "on" else 1)
            * (1.2 if told.get("opset") == "21" else 1)
        )  # fmt: skip

    walk, asked = walked(time_of)
    assert len(asked[0]) == 5
    assert walk.best == Setting(threads=4, batch=1, options=(("arena", "off"), ("spinning", "on")))
    assert not any("opset" in dict(one.compiled_with) for wanted in asked[1:] for one in wanted)


def test_where_nothing_gains_there_is_one_round_and_the_default_stays():
    walk, asked = walked(lambda one: 10.0 if one == DEFAULT else 9.95)
    assert len(asked) == 1
    assert walk.best == DEFAULT


def test_gains_that_hinder_each_other_leave_the_better_one():
    def time_of(one):
        both = one.threads == 2 and dict(one.options).get("arena") == "off"
        return 12.0 if both else {1: 10.0, 2: 6.0, 4: 11.0}[one.threads] - bool(one.options)

    walk, asked = walked(time_of, lambda setting: (THREADS, ARENA))
    assert walk.best == replace(DEFAULT, threads=2)
    assert len(asked) <= MOST_ROUNDS


def test_a_setting_that_does_not_run_or_is_left_out_is_not_the_best():
    four, two = replace(DEFAULT, threads=4), replace(DEFAULT, threads=2)
    walk, _ = walked(lambda one: 10.0 / one.threads, lambda setting: (THREADS,), failing={four})
    assert walk.best == two
    walk.leave_out(two, "over a limit")
    assert walk.best == DEFAULT
    assert {walk.tried[four].note, walk.tried[two].note} == {"does not open", "over a limit"}


def with_batches(times):
    """A walk of which each batch takes so long per sample, its first round done."""
    walk, seen = OptionsWalk(DEFAULT, lambda setting: (BATCH,)), {}
    for one in walk.proposals():
        if one.batch in times:
            seen[one] = Quantity(value=times[one.batch])
    broken = {one: "does not compile" for one in walk.proposals() if one.batch not in times}
    walk.learn(seen, broken)
    return walk


def test_all_are_compared_at_the_batch_that_serves_the_best_ranked_one():
    walks = (with_batches({8: 0.5, 32: 0.4}), with_batches({8: 0.3, 32: 0.9}))
    assert common_batch((8, 32), walks, lambda batch: True) == 32
    assert common_batch((8, 32), walks, lambda batch: batch < 32) == 8
    assert common_batch((8, 32), walks, lambda batch: False) == 1
    assert common_batch((8, 32), (walks[0], with_batches({8: 0.3})), lambda batch: True) == 8
    assert common_batch((8,), (with_batches({8: 0.995}),), lambda batch: True) == 1


def test_at_a_batch_options_are_worth_what_they_gain_over_it_alone():
    walk = with_batches({8: 0.5, 32: 0.6})
    walk.batch = 8
    assert walk.best == walk.start == replace(DEFAULT, batch=8)
    faster = Setting(threads=2, batch=8)
    walk.learn({faster: Quantity(value=0.497)}, {})
    assert walk.best == walk.start
    walk.learn({faster: Quantity(value=0.4)}, {})
    assert walk.best == faster
