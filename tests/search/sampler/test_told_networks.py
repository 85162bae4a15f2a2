"""What untrained networks tell, as the sampler takes it."""

from __future__ import annotations

import numpy as np
import pytest
from paretune.search.record.untrained import UNTOLD, Untrained
from paretune.search.sampler.problem import SearchPart
from paretune.search.sampler.told_networks import LEAST_TOLD, LEAST_TRAINED, ToldNetworks

MANY = 2 * LEAST_TRAINED


def looked_at(synflow: float, **more: float) -> Untrained:
    return Untrained(proxies={"synflow": synflow, **more})


def test_networks_that_compute_the_same_are_one_and_tell_for_each_other():
    networks = ToldNetworks(
        [Untrained(function="a"), Untrained(function="b"), Untrained(function="a"), UNTOLD]
    )
    assert networks.alike.tolist() == [0, 1, 0, 3]
    networks.learn(2, Untrained(structure={"depth": 3.0}))
    networks.learn(1, Untrained(structure={"depth": 5.0}))
    scores = networks.structure()[:, 0]
    assert scores[0] == scores[2] < scores[1]
    assert np.isnan(scores[3])
    networks.learn(3, Untrained(function="b"))
    assert networks.alike.tolist() == [0, 1, 0, 1]
    assert networks.structure()[3, 0] == scores[1]


def test_a_kind_of_operation_that_a_network_does_not_have_makes_up_none_of_it():
    told = [
        Untrained(structure={"layers": 1.0, "share_conv3": 0.5}),
        Untrained(structure={"layers": 2.0}),
        UNTOLD,
    ]
    scores = ToldNetworks(told).structure()
    assert scores[1, 1] < scores[0, 1]
    assert np.isnan(scores[2]).all()


def test_what_is_told_counts_by_its_order_whatever_its_scale():
    plain = ToldNetworks([looked_at(float(n)) for n in range(MANY)])
    wild = ToldNetworks([looked_at(10.0 ** (20 * n) if n else -1e300) for n in range(MANY)])
    assert np.array_equal(plain.proxies(), wild.proxies())
    assert np.isfinite(plain.proxies()).all()


def test_a_proxy_that_is_not_defined_is_worse_than_any_and_one_that_tells_nothing_is_none():
    told = [looked_at(float(n), nwot=1.0) for n in range(MANY)] + [
        Untrained(proxies={"nwot": 1.0}),
        UNTOLD,
    ]
    scores = ToldNetworks(told).proxies()
    assert scores.shape == (MANY + 2, 1)
    assert scores[MANY, 0] < scores[:MANY, 0].min()
    assert np.isnan(scores[MANY + 1, 0])


def test_proxies_whose_direction_is_not_known_count_where_there_are_no_others():
    mixed = ToldNetworks([looked_at(float(n), fisher=-float(n)) for n in range(MANY)])
    others = ToldNetworks([Untrained(proxies={"fisher": -float(n)}) for n in range(MANY)])
    assert mixed.proxies().shape[1] == others.proxies().shape[1] == 1
    assert mixed.proxies()[-1, 0] > 0 > others.proxies()[-1, 0]


def test_a_few_looks_are_no_scale():
    networks = ToldNetworks([looked_at(float(n)) for n in range(LEAST_TOLD - 1)] + [UNTOLD])
    assert not networks.looked_at
    assert networks.proxies().shape == (LEAST_TOLD, 0)
    networks.learn(LEAST_TOLD - 1, looked_at(9.0))
    assert networks.looked_at


def test_proxies_that_rank_trained_models_the_wrong_way_are_left_out_until_they_do_not():
    networks = ToldNetworks([looked_at(float(n)) for n in range(MANY)])
    wrong = {n: 1.0 - n / 100 for n in range(LEAST_TRAINED)}
    assert not networks.judge({n: wrong[n] for n in range(LEAST_TRAINED - 1)})
    before = networks.version
    assert networks.judge(wrong)
    assert networks.misleading
    assert networks.version > before
    assert networks.proxies().shape[1] == 0
    assert not networks.judge(wrong)  # nothing new
    assert networks.judge({n: n / 100 for n in range(MANY)})
    assert not networks.misleading
    assert networks.proxies().shape[1] == 1


@pytest.mark.parametrize("part", [SearchPart.STRUCTURE, SearchPart.PROXIES])
def test_a_part_that_is_left_out_is_never_taken_in(part):
    told = Untrained(structure={"depth": 1.0}, proxies={"nwot": 1.0}, function="f", constant=True)
    networks = ToldNetworks([told, told], frozenset({part}))
    networks.learn(1, told)
    assert bool(networks[1].structure or networks[1].function or networks[1].constant) is (
        part != "structure"
    )
    assert bool(networks[1].proxies) is (part != "proxies")
    assert networks.alike.tolist() == ([0, 1] if part is SearchPart.STRUCTURE else [0, 0])
