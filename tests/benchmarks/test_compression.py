"""What the compression benchmark makes of its figures; its studies take minutes and are run by hand."""

from dataclasses import asdict

import pytest
import yaml

from benchmarks.compression.measure import Row
from benchmarks.compression.run import EXAMPLES, GOALS, judged, show, study_copy

TEACHER = {"accuracy": 0.99, "size_bytes": 4.6e6, "latency_ms": 0.1}


def row(size: float, latency: float, accuracy: float, title: str = "a candidate") -> Row:
    drop = 100 * (TEACHER["accuracy"] - accuracy)
    return Row(
        candidate=title,
        size_ratio=size,
        latency_ratio=latency,
        latency_ratio_interval=(latency, latency),
        accuracy_drop_points=drop,
        accuracy_drop_interval=(drop, drop),
        accuracy=accuracy,
        size_bytes=int(size * TEACHER["size_bytes"]),
        latency_ms=latency * TEACHER["latency_ms"],
        side_effects={},
    )


def four_bit(lost: float, won: float) -> dict[str, float]:
    return {"lost_points": lost, "won_points": won}


def met(ours: Row, alone: list[Row], rows: list[dict[str, float]]) -> list[bool]:
    return [goal["met"] for goal in judged(GOALS["digits"], ours, alone, TEACHER, rows)]


def test_all_goals_are_met_by_a_candidate_that_is_better_everywhere():
    ours = row(1 / 100, 1 / 20, 0.986)
    assert met(ours, [row(1 / 4, 1 / 3, 0.99)], [four_bit(4.0, 2.0), four_bit(0.5, -3.0)]) == [True] * 5


@pytest.mark.parametrize(
    ("ours", "missed"),
    [(row(1 / 79, 1 / 20, 0.99), 0), (row(1 / 90, 1 / 17, 0.99), 1), (row(1 / 90, 1 / 20, 0.984), 2)],
)
def test_a_goal_that_is_missed_is_told(ours, missed):
    found = met(ours, [row(1 / 4, 1 / 3, 0.99)], [])
    assert not found[missed]
    assert found[:missed] == [True] * missed


def test_the_teacher_alone_counts_only_where_it_is_accurate_enough():
    ours = row(1 / 100, 1 / 20, 0.99)
    small = row(1 / 200, 1 / 40, 0.5)
    assert met(ours, [small], [])[3]
    assert not met(ours, [row(1 / 200, 1 / 3, 0.99)], [])[3]


def test_four_bits_are_judged_over_all_models_that_lose_a_point():
    ours = row(1 / 100, 1 / 20, 0.99)
    assert not met(ours, [], [four_bit(4.0, 1.9)])[4]
    assert met(ours, [], [four_bit(4.0, 3.0), four_bit(2.0, 0.5)])[4]


def test_every_form_and_every_missed_goal_is_shown(capsys):
    ours, alone = row(1 / 79, 1 / 20, 0.99, "a student"), row(1 / 4, 1 / 3, 0.99, "teacher, int8")
    goals = judged(GOALS["digits"], ours, [alone], TEACHER, [])
    show({**asdict(ours), "post_training": [asdict(alone)], "goals": goals})
    text = capsys.readouterr().out
    assert "a student" in text
    assert "teacher, int8" in text
    assert "MISSED: size at most 1/80: 1/79" in text


@pytest.mark.parametrize("workload", sorted(GOALS))
def test_the_study_runs_from_the_example_and_leaves_everything_below_work(tmp_path, workload):
    copy = study_copy(workload, tmp_path / "data", tmp_path / "work")
    text = yaml.safe_load(copy.read_text())
    assert text["workload"]["file"] == str(EXAMPLES / f"{workload}.py")
    assert text["workload"]["options"]["data"] == str(tmp_path / "data")
    assert {text["runs"], text["store"]} == {str(tmp_path / "work" / d) for d in ("runs", "store")}
