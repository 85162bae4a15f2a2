"""How a command ends."""

from contextlib import nullcontext

import pytest
from paretune.reports.terminal import commands


def caused_by_an_interrupt():
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt as interrupt:
        raise ImportError("a library that was being loaded") from interrupt


def told_by_name_alone():
    raise ValueError("Error building the validator:\n  KeyboardInterrupt: ")


@pytest.mark.parametrize("command", [caused_by_an_interrupt, told_by_name_alone])
def test_an_interrupt_that_a_library_made_an_error_of_is_one(command, capsys, monkeypatch):
    monkeypatch.setattr(commands, "user_code", lambda *_, **__: nullcontext())  # what raises here is ours
    with pytest.raises(SystemExit) as ended:
        commands.ended_well(command)
    assert ended.value.code == 130
    assert capsys.readouterr().err.startswith("interrupted")
