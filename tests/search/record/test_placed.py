"""What a record keeps of where nodes run is bounded, and nothing is lost from its counts."""

from paretune.search.record.deployed import Deployed
from paretune.search.record.placed import PLACED, PlacedNode, placed
from paretune.search.store.said import misfit


def nodes(count, *, every=1, timed=True):
    return [
        PlacedNode(
            name=f"n{number}",
            op=f"Op{number % 60}",
            kernel=f"Op{number % 60} (float)",
            place="CPU",
            intended=bool(number % every),
            reason="" if number % every else "why",
            share_of_time=1 / count if timed else None,
        )
        for number in range(count)
    ]


def test_two_thousand_nodes_are_counted_and_the_worst_are_listed():
    found = placed("integers", nodes(2000, every=2))
    assert (found.nodes, found.as_meant, found.share_of_nodes) == (2000, 1000, 0.5)
    assert abs(found.share_of_time - 0.5) < 1e-9
    assert (len(found.others), len(found.slowest), len(found.groups)) == (40, 10, 40)
    assert found.unlisted == 960
    assert len(PLACED.dump_json(found)) < 20_000
    assert PLACED.validate_json(PLACED.dump_json(found)) == found


def test_the_slowest_come_first():
    told = nodes(4, every=1, timed=False)
    shares = (0.1, 0.5, 0.1, 0.3)
    timed = [
        PlacedNode(**{**vars(one), "share_of_time": share}) for one, share in zip(told, shares, strict=True)
    ]
    found = placed("k", timed)
    assert (
        [one.name for one in found.others] == [one.name for one in found.slowest] == ["n1", "n3", "n0", "n2"]
    )
    assert placed("k", told).share_of_time is None
    assert placed("k", told).slowest == ()


def entry(kept):
    return {"files": {}, "meta": {"placed": kept}, "provenance": {}, "seconds": 1.0}


def test_what_the_store_has_is_read_as_what_it_has_to_be():
    good = PLACED.dump_python(placed("k", nodes(3)), mode="json")
    assert misfit("placement", entry(good)) == misfit("placement", entry(None)) == ""
    for wrong in (3, {}, {**good, "nodes": -1}, {**good, "share_of_time": 1.5}, {**good, "others": [{}]}):
        assert misfit("placement", entry(wrong)).startswith(".meta.placed")


def test_what_is_not_told_is_kept_with_what_is():
    asked = Deployed(untold={"energy_mj": "no meter"}).with_all_of(Deployed(untold={"delegated": "TVM"}))
    assert asked.untold == {"energy_mj": "no meter", "delegated": "TVM"}
    assert asked.with_all_of(Deployed(placed=placed("k", nodes(3)))).untold == asked.untold
