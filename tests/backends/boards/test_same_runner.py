"""A runner that another paretune brought is told; one that was installed by hand is its owner's."""

import pytest
from paretune.backends.boards.parts import runner_digest
from paretune.backends.boards.same_runner import runner_remark
from paretune.backends.runner.replies import Hello


@pytest.mark.parametrize(("prepared", "told"), [("", False), (runner_digest(), False), ("0" * 12, True)])
def test_a_runner_of_another_paretune(prepared, told):
    remark = runner_remark(Hello(pid=1, environment={}, modules=(), prepared=prepared))
    assert (prepared in remark and "devices setup" in remark) if told else not remark
