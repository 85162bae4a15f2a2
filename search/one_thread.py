"""One thread for the search's own arithmetic.

Its matrices are small. Several threads of the linear algebra library take longer to meet than to work, on a
busy machine many times longer, and they take the processor from what is trained or measured there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache, wraps
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def in_one_thread(function: Callable[P, T]) -> Callable[P, T]:
    """The function, with one thread for NumPy and SciPy; as it is where `threadpoolctl` is missing."""

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> T:
        with _limit():
            return function(*args, **kwargs)

    return limited


def _limit() -> AbstractContextManager[Any]:
    libraries = _libraries()
    if libraries is None:
        return nullcontext()
    found: AbstractContextManager[Any] = libraries.limit(limits=1, user_api="blas")
    return found


@cache
def _libraries() -> Any:
    """What is loaded by now; looking for it takes a while."""
    import_module("scipy.linalg")  # brings a library of its own
    try:
        return import_module("threadpoolctl").ThreadpoolController()
    except ImportError:
        return None
