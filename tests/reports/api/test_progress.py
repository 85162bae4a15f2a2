"""A session that is stopped before its search began."""

import pytest
from paretune.profiles.errors import UserError
from paretune.reports.api.progress import stopped_softly
from paretune.search.record.progress import Progress
from paretune.search.record.stops import Interrupted


def test_a_stop_in_a_wait_for_others_is_an_interruption_and_no_failure():
    def stopped():
        with stopped_softly(Progress()) as stop:
            stop.request()
            raise Interrupted("interrupted")

    with pytest.raises(KeyboardInterrupt):
        stopped()


def test_time_that_was_used_up_in_a_wait_for_others_is_said():
    told = r"budget\.time: the budget of 60 s is used up\n  what to do: run again"
    with pytest.raises(UserError, match=told), stopped_softly(Progress()):
        raise Interrupted("the budget of 60 s is used up")
