"""One thread for the search's own arithmetic.

Its matrices are small. Several threads of the linear algebra library take longer to meet than to work, on a
busy machine many times longer, and they take the processor from what is trained or measured there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from importlib import import_module
from typing import ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
T = TypeVar("T")


def in_one_thread(function: Callable[P, T]) -> Callable[P, T]:
    """The function, with one thread for NumPy and SciPy."""

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> T:
        with _libraries().limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return limited


@cache
def _libraries() -> ThreadpoolController:
    """What is loaded by now; looking for it takes a while."""
    import_module("scipy.linalg")  # brings a library of its own
    return ThreadpoolController()
