"""Whose optimization a change of results comes from."""

from paretune.search.checks.evidence import Evidence, Question
from paretune.search.checks.tolerances import Tolerance
from paretune.search.recheck.levels import Level, blamed
from paretune.search.record.checks import OUTPUTS, Scale

QUESTION = Question(subject="trial 1", metric=OUTPUTS, tolerance=Tolerance(amount=0.1, relative=False))
SAME, OTHER = (Evidence(question=QUESTION, scale=Scale.DIFFERENCE, p=p) for p in (1.0, 0.0))


def level(before, after, as_before, mended):
    given = {"before": before, "after": after, "as_before": as_before, "mended": mended}
    return Level(option="graph_optimization", value="basic", **given)


def blame(*found):
    return blamed(found, "runtime 1", "runtime 2")


def test_an_optimizer_that_computes_wrongly_now_is_named_with_the_level_that_is_right():
    told = blame(level(SAME, OTHER, SAME, OTHER))
    assert "runtime 2" in told.words
    assert "graph_optimization basic" in told.words
    assert not told.before


def test_one_that_computed_wrongly_before_and_no_longer_does():
    told = blame(level(OTHER, SAME, OTHER, SAME))
    assert told.before
    assert "runtime 1" in told.words.partition(":")[0]


def test_where_no_level_changes_anything_none_is_blamed():
    assert not blame(level(SAME, SAME, OTHER, OTHER)).words
    assert not blame(level(None, None, None, None)).words
    assert not blame().words
