"""What graphs tell as numbers, and what of them is left."""

from math import isfinite, log

import pytest
from paretune.search.structure.features import FEATURES, features
from paretune.search.structure.graph import AVERAGE_POOL, CONCAT, IDENTITY, MAX_POOL, PRODUCT, ZERO
from paretune.search.structure.simplify import simplified
from paretune.search.structure.told import told_by


def cell(draw, *, order=1):
    """A path of two layers of which the first halves the image, one of a pool, and one that hands through."""
    d = draw()
    deep = d.conv(d.conv(d.x, "a", 3, stride=2), "b", 5)
    operands = [deep, d.add(AVERAGE_POOL, d.x, kernel=3), d.add(IDENTITY, d.x)]
    return d.graph(d.sum(*operands[::order]))


def test_features_of_a_cell(draw):
    found = features(simplified(cell(draw)))
    assert found == features(simplified(cell(draw, order=-1)))
    assert (found["longest_path"], found["shortest_path"]) == (2, 0)
    assert found["mean_path"] == pytest.approx(2 / 3)
    assert found["paths"] == pytest.approx(log(4))
    assert found["receptive_field"] == pytest.approx(log(3 + 2 * 4))
    assert found["path_weights"] == pytest.approx(log(1 + 8 / 3))
    assert (found["layers"], found["operations"], found["width"]) == pytest.approx((log(3), log(4), 2))
    shares = {name: value for name, value in found.items() if name.startswith("share")}
    assert shares == pytest.approx(dict.fromkeys(("share_conv3", "share_conv5", "share_avg_pool3"), 1 / 3))
    assert found["place_conv3"] == -found["place_conv5"] < 0 == found["place_avg_pool3"]


def test_every_feature_is_in_the_table_and_finite(draw):
    for graph in (cell(draw), deep(draw), draw().graph(0)):
        for name, value in features(simplified(graph)).items():
            kind = name.split("_")[0] + "_KIND"
            assert (name if name in FEATURES else kind) in FEATURES
            assert isfinite(value)


def deep(draw):
    """More paths than a float can count."""
    d = draw()
    last = d.x
    for number in range(1100):
        last = d.sum(last, d.conv(last, f"w{number}", stride=2))
    return d.graph(last)


def test_a_graph_that_is_too_large_for_a_digest_tells_its_features(draw):
    found = told_by(deep(draw))
    assert found.structure["longest_path"] == 1100
    assert not found.function


def test_what_works_on_zero_or_reaches_no_result_is_gone(draw):
    d = draw()
    zero = d.add(ZERO)
    dead = [
        d.add(MAX_POOL, zero, kernel=3),
        d.conv(zero, "a"),
        d.add(PRODUCT, zero, d.conv(d.x, "b")),
        d.sum(zero, zero),
    ]
    d.conv(d.x, "c")  # reaches nothing
    kept = d.conv(d.add(IDENTITY, d.add(IDENTITY, d.x)), "d")
    found = simplified(d.graph(d.sum(*dead, kept)))
    assert [one.weight for one in found.operations] == ["", "d"]
    assert found.outputs == (1,)


def test_zeros_stay_where_they_change_something(draw):
    d = draw()
    zero = d.add(ZERO)
    kept = simplified(d.graph(d.add(CONCAT, zero, d.x), d.conv(zero, "a", shifts=True)))
    assert sorted(one.kind for one in kept.operations) == ["concat", "constant", "input", "zero"]


def test_branches_that_only_look_alike_make_other_networks(draw):
    """Six convolutions, each pair of neighbours added: around one ring of six, or two rings of three."""

    def rings(pairs):
        d = draw()
        ring = [d.conv(d.x, f"a{number}") for number in range(6)]
        return d.graph(d.sum(*(d.conv(d.sum(ring[i], ring[j]), f"b{i}{j}") for i, j in pairs)))

    one = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0)]
    again = [(2, 0), (0, 4), (4, 1), (1, 5), (5, 3), (3, 2)]
    two = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)]
    first, second, third = (told_by(rings(pairs)).function for pairs in (one, again, two))
    assert first == second != third
