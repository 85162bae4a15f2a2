import pytest
from paretune.profiles.errors import UserError
from paretune.search.checks.tolerances import DEFAULTS, read_tolerances
from paretune.search.record.metrics import METRICS


@pytest.mark.parametrize(
    ("text", "metric", "amount", "relative"),
    [
        ("latency 3 %", "latency_ms", 0.03, True),
        ("latency: 3%", "latency_ms", 0.03, True),
        ("latency 3 % relative", "latency_ms", 0.03, True),
        ("latency 0.1 ms", "latency_ms", 0.1, False),
        ("latency_p90=100us", "latency_p90_ms", 0.1, False),
        ("accuracy 0.2 pt", "accuracy", 0.002, False),
        ("accuracy 0.2 pt absolute", "accuracy", 0.002, False),
        ("accuracy 0.2 % relative", "accuracy", 0.002, True),
        ("memory 5 %", "memory_bytes", 0.05, True),
        ("memory 2 MiB", "memory_bytes", 2**21, False),
        ("size 0 %", "size_bytes", 0.0, True),
        ("throughput 5 %", "throughput_per_s", 0.05, True),
        ("worst_class_drop 1 pt", "worst_class_drop", 0.01, False),
        ("decisions 0.5 %", "decisions", 0.005, False),
    ],
)
def test_a_tolerance_is_read_with_its_unit(text, metric, amount, relative):
    found = read_tolerances([text], "accuracy").of(metric)
    assert (found.amount, found.relative, found.stated) == (pytest.approx(amount), relative, True)


@pytest.mark.parametrize(
    "text",
    [
        "", "latency", "latency 3", "latency 3 kB", "latency -1 %", "latency nan %", "lat 3 %",
        "accuracy 0.2 %",
        "accuracy 0.002", "accuracy 300 pt", "throughput 200 %", "f1_macro 1 pt", "latency 1e999 %",
        "latency 3 %, latency 4 %", "files 1", "size 1 pt",
    ],
)  # fmt: skip
def test_what_is_no_tolerance_is_refused_with_what_is_accepted(text):
    with pytest.raises(UserError) as raised:
        read_tolerances([text], "accuracy")
    assert raised.value.place == "--tolerate"
    assert raised.value.accepted or "twice" in raised.value.problem


def test_several_come_in_one_text_or_in_many():
    together = read_tolerances(["latency 3 %, accuracy 0.2 pt"], "accuracy")
    assert together == read_tolerances(["latency 3 %", "accuracy 0.2 pt"], "accuracy")


def test_what_is_said_of_latency_holds_for_its_ratio_but_not_what_is_said_in_milliseconds():
    assert read_tolerances(["latency 3 %"], "").of("latency_ratio").amount == 0.03
    assert read_tolerances(["latency 3 ms"], "").of("latency_ratio") == DEFAULTS["latency_ratio"]


def test_a_metric_of_the_users_own_has_numbers_and_per_cents():
    found = read_tolerances(["profit 2 %"], "profit").of("profit")
    assert (found.amount, found.relative) == (0.02, True)
    assert not read_tolerances(["profit 2"], "profit").of("profit").relative


def test_every_metric_of_the_table_has_a_default_that_something_can_fail():
    tolerances = read_tolerances([], "accuracy")
    for name, info in METRICS.items():
        assert 0 <= tolerances.of(name).amount < 1, name
        assert tolerances.of(name).relative is (info.unit not in ("share", "dB") and name not in (
            "correlation", "cosine", "rank_agreement")), name  # fmt: skip
