"""The search's own arithmetic runs in one thread, and others' is left as it was."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg  # noqa: F401 - brings a library of its own, which must be there before
import threadpoolctl
from paretune.search.surrogates.one_thread import in_one_thread


def threads() -> set[int]:
    np.ones((2, 2)) @ np.ones((2, 2))
    return {found["num_threads"] for found in threadpoolctl.threadpool_info() if found["user_api"] == "blas"}


def test_inside_there_is_one_thread_and_afterwards_as_many_as_before():
    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
        before = threads()
        assert in_one_thread(threads)() == {1}
        assert threads() == before


def test_arguments_result_and_errors_pass_through():
    def divided(a: int, *, by: int) -> float:
        return a / by

    assert in_one_thread(divided)(6, by=3) == 2
    assert in_one_thread(divided).__name__ == "divided"
    with pytest.raises(ZeroDivisionError, match="division"):
        in_one_thread(divided)(1, by=0)
