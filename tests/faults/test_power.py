"""Power cuts after syncs of a study, of which `benchmarks/faults/power.py` takes each."""

import random

import pytest

from benchmarks.faults.campaign import needed_and_gone
from benchmarks.faults.power import Cuts
from benchmarks.faults.toy import aged, toy_site, with_junk

pytestmark = pytest.mark.slow
NOTHING = {"lost": [], "corrupt": [], "twice": []}


@pytest.fixture(scope="module")
def cuts(tmp_path_factory, warm):
    """A study that was run once, and what was on the disk for certain at each moment."""
    root = tmp_path_factory.mktemp("power")
    found = Cuts(root, toy_site(root / "site", warm, budget={"trials": 3}), ("run",))
    assert found.codes == [0]
    return found


def test_a_power_cut_loses_no_told_trial_and_leaves_nothing_in_part(cuts):
    chosen = random.Random(1).sample(range(cuts.remembered.syncs + 1), 40)
    found = {number: cuts.after(number).plain() for number in chosen}
    assert {number: wrong for number, wrong in found.items() if wrong != NOTHING} == {}


def test_a_study_goes_on_after_a_power_cut(cuts):
    code, found = cuts.goes_on(cuts.remembered.syncs * 2 // 3)
    assert (code, found.plain()) == (0, NOTHING)


def test_a_power_cut_while_a_store_is_tidied_up_leaves_what_is_needed_and_no_entry_in_part(cuts, tmp_path):
    cuts.after(cuts.remembered.syncs)
    gone = needed_and_gone(cuts.site)  # what took no time to make may be: it is made again
    with_junk(cuts.site, 10, 1)
    aged(cuts.site, 30)
    tidied = Cuts(tmp_path, cuts.site, ("store", "gc"))
    assert tidied.codes == [0]
    freed = len(list(cuts.site.store.glob("export/*")))
    for number in range(tidied.remembered.syncs + 1):
        assert tidied.after(number).plain() == NOTHING
        assert needed_and_gone(cuts.site) == gone
        assert len(list(cuts.site.store.glob("export/*"))) >= freed
    assert tidied.remembered.syncs >= 2


def test_what_was_never_synced_is_found_to_be_lost(cuts):
    """The check itself: before the first sync nothing is there, and then all is said to have been told."""
    assert cuts.after(0).plain() == NOTHING
    cuts.site.log.write_text(cuts.said)
    assert len(cuts.checked().lost) == 3
