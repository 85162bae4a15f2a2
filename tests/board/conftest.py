"""Studies of the tiny workload on boards."""

import pytest
from study.conftest import TESTS, bench, shared_store  # noqa: F401

from .striking import BACKEND, Strikes


@pytest.fixture
def strikes(tmp_path):
    return Strikes(tmp_path / "strikes")


@pytest.fixture
def board_study(bench, shared_store, native_board, strikes):  # noqa: F811
    """Makes the file of a study on the native board, whose backend stops at moments that are armed."""
    native_board.set(PYTHONPATH=TESTS, STRIKES=str(strikes.folder))
    native_board.set(PARETUNE_TOY="1")
    profile = native_board.write_profile(bench.root)

    def made(name="blobs", **changes):
        space = {"student": {"width": [4]}, "precision": ["fp32", "int8"], "backend": [BACKEND]}
        usual = {"space": space, "budget": {"trials": 2}, "finalists": 1, "store": str(bench.root / "store")}
        return bench.study(name, profile=str(profile), **{**usual, **changes})

    return made
