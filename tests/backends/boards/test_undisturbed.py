"""A setup waits for whoever measures on the board, and says so; a board without a runner needs no lease."""

from contextlib import closing

import pytest
from paretune.backends.boards.undisturbed import undisturbed
from paretune.backends.runner.launch import SshLaunch
from paretune.backends.runner.leased import DeviceLease

pytestmark = [pytest.mark.slow, pytest.mark.alone]


class Said:
    def __init__(self):
        self.stages, self.notes = [], []

    def stage(self, text):
        self.stages.append(text)

    def note(self, text):
        self.notes.append(text)

    def detail(self, text):
        pass


def launch_of(board):
    reach = board.profile()["reach"]
    return SshLaunch(**{name: reach[name] for name in ("host", "port", "user", "python")})


def test_a_board_in_use_is_waited_for_and_then_held(native_board):
    launch, steps = launch_of(native_board), Said()
    with closing(DeviceLease(launch, study="digits")) as lease:
        with lease.held(), undisturbed(launch, steps, longest_s=1.5):
            assert "study digits" in steps.stages[0]
            assert "study digits" in steps.notes[0]
        steps = Said()
        with undisturbed(launch, steps), closing(DeviceLease(launch, tell=stopped)) as other:
            assert steps.stages == []
            with pytest.raises(StopError), other.held():
                pytest.fail("the setup has it")


def test_a_bare_board_is_set_up_without_a_lease(bare_board):
    steps = Said()
    with undisturbed(launch_of(bare_board), steps):
        pass
    assert (steps.stages, steps.notes) == ([], [])


class StopError(Exception):
    pass


def stopped(text, seconds):
    assert "devices setup" in text
    raise StopError
