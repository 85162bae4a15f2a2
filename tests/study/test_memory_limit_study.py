"""A limit on memory below what the runtimes of a board need themselves: said before anything is trained."""

import os

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.alone]


def test_a_board_is_asked_what_its_runtimes_need_before_the_teacher_is_trained(bench, native_board):
    native_board.set(PYTHONPATH=os.environ.get("PYTHONPATH", ""))
    profile = native_board.write_profile(bench.root)
    space = {"student": {"width": [4]}, "precision": ["fp32"], "backend": ["ort", "tflite"]}
    study = bench.study(profile=str(profile), space=space, constraints=["memory <= 2 MB"])
    refused = bench.process("run", study)
    assert refused.returncode == 1, refused.stdout
    assert "ONNX Runtime" in refused.stderr
    assert "LiteRT" in refused.stderr
    assert not (bench.root / "runs").exists()
    assert sorted(path.name for path in (bench.root / ".paretune" / "store").glob("[a-z]*")) == ["runtime"]
    planned = bench.process("plan", study)
    assert planned.returncode == 1
    assert "memory <= 2 MB" in planned.stderr
