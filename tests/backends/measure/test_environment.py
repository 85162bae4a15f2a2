"""The description of this machine agrees with what the system says by other ways."""

import json
import os
import platform

import numpy as np
import pytest
from paretune.backends.measure.environment import cpu_ticks, environment, instruction_sets, steal_share


def test_environment_is_plain_and_true():
    found = environment()
    assert json.loads(json.dumps(found)) == found
    assert found["kernel"] == platform.release()
    assert found["python"] == platform.python_version()
    assert found["cores"] == os.cpu_count()
    assert found["affinity"] == sorted(os.sched_getaffinity(0))
    assert found["packages"]["numpy"] == np.__version__
    assert found["memory_bytes"] > 2**28
    assert found["processor"]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names of instruction sets differ")
def test_instruction_sets_agree_with_numpy():
    from numpy._core._multiarray_umath import __cpu_features__ as features

    ours = set(instruction_sets())
    for name, flag in {"AVX2": "avx2", "FMA3": "fma", "AVX512F": "avx512f", "F16C": "f16c"}.items():
        assert features[name] == (flag in ours), name


def test_steal_share_counts_only_the_time_between():
    before = (100, 0, 100, 700, 0, 0, 0, 100, 40, 0)
    after = (150, 0, 110, 720, 0, 0, 0, 120, 90, 0)
    assert steal_share(before, after) == pytest.approx(0.2)
    assert steal_share(before, before) == 0
    assert steal_share((), after) is None
    assert steal_share(cpu_ticks(), cpu_ticks()) is not None
