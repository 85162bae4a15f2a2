import pytest
from paretune.profiles.errors import UserError
from paretune.search.record.limits import check_consistent, parse_limit, parse_reference, resolve


@pytest.mark.parametrize(
    ("text", "metric", "upper", "bound"),
    [
        ("latency_p90 <= 5 ms", "latency_p90_ms", True, 5.0),
        ("latency <= 200 us", "latency_ms", True, 0.2),
        ("size<=500 kB", "size_bytes", True, 500_000),
        ("memory <= 2 MiB", "memory_bytes", True, 2 * 2**20),
        ("accuracy >= 97.5 %", "accuracy", False, 0.975),
        ("accuracy >= 0.975", "accuracy", False, 0.975),
    ],
)
def test_limits_with_units(text, metric, upper, bound):
    limit = resolve(parse_limit(text, "accuracy"), {})
    assert (limit.metric, limit.upper, limit.bound) == (metric, upper, pytest.approx(bound))
    assert limit.text == text


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("accuracy >= teacher", 0.98),
        ("accuracy >= teacher - 1 pt absolute", 0.97),
        ("accuracy >= teacher - 1 % relative", 0.98 * 0.99),
        ("latency <= 25 % of teacher", 0.5),
        ("latency <= teacher + 500 us", 2.5),
        ("latency <= teacher + .5 ms absolute", 2.5),
        ("latency <= teacher - 10 % relative", 1.8),
    ],
)
def test_limits_relative_to_the_teacher(text, bound):
    spec = parse_limit(text, "accuracy")
    assert spec.relative
    assert resolve(spec, {"accuracy": 0.98, "latency_ms": 2.0}).bound == pytest.approx(bound)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latency < = 5 ms", "cannot read"),
        ("speed <= 5 ms", "unknown metric 'speed'"),
        ("latensy <= 5 ms", "did you mean 'latency'"),
        ("latency <= 5 parsecs", "unit"),
        ("latency <= -1 ms", "no model can meet"),
        ("size <= 0 kB", "no model can meet"),
        ("accuracy >= 150 %", "no model can meet"),
        ("accuracy >= teacher - 1 %", "two ways"),
        ("accuracy >= teacher - 1", "cannot read the right side"),
        ("accuracy >= teacher - 1.2.3 pt", "cannot read the right side"),
        ("latency <= 1.2.3 % of teacher", "cannot read the right side"),
        ("latency <= teacher + 5 pt absolute", "unknown unit 'pt'"),
        ("latency <= teacher + 5 % absolute", "unknown unit '%'"),
        ("latency <= teacher + 5 relative", "cannot read the right side"),
    ],
)
def test_limits_that_cannot_be_accepted(text, message):
    with pytest.raises(UserError, match=message):
        parse_limit(text, "accuracy")


def test_relative_limit_needs_the_teachers_value():
    with pytest.raises(UserError, match="was not measured"):
        resolve(parse_limit("memory <= 50 % of teacher", "accuracy"), {"latency_ms": 1.0})


def test_relative_limit_that_cannot_be_met():
    with pytest.raises(UserError, match="no model can meet"):
        resolve(parse_limit("accuracy >= teacher + 5 pt absolute", "accuracy"), {"accuracy": 0.99})


def test_contradicting_limits():
    specs = tuple(parse_limit(text, "accuracy") for text in ("size <= 10 kB", "size >= 20 kB"))
    with pytest.raises(UserError, match="exclude each other"):
        check_consistent(specs)


def test_a_metric_of_the_users_own():
    assert parse_limit("f1 >= 0.9", "f1").metric == "f1"
    with pytest.raises(UserError, match="unknown metric 'f1'"):
        parse_limit("f1 >= 0.9", "accuracy")
    with pytest.raises(UserError, match="not accuracy"):
        parse_limit("accuracy >= 0.9", "f1")


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("rmse <= 250", 250),
        ("rmse >= -1.5", -1.5),
        ("rmse <= teacher + 0.5", 4.5),
        ("rmse <= teacher + 20 % relative", 4.8),
        ("rmse <= 110 % of teacher", 4.4),
    ],
)
def test_a_metric_of_the_users_own_may_have_any_size(text, bound):
    assert resolve(parse_limit(text, "rmse"), {"rmse": 4.0}).bound == pytest.approx(bound)


@pytest.mark.parametrize(
    ("text", "metric", "upper", "bound"),
    [
        ("worst_class_drop <= 3 pt absolute", "worst_class_drop", True, 0.03),
        ("worst_class_drop <= 3 pt", "worst_class_drop", True, 0.03),
        ("worst_class_drop <= 0.03", "worst_class_drop", True, 0.03),
        ("agreement >= 97 %", "agreement", False, 0.97),
        ("ece_rise <= 2 pt absolute", "ece_rise", True, 0.02),
        ("ece_rise <= -1 pt", "ece_rise", True, -0.01),
        ("compressed_size <= 40 kB", "compressed_bytes", True, 40_000),
    ],
)
def test_limits_on_side_effects(text, metric, upper, bound):
    spec = parse_limit(text, "accuracy")
    assert not spec.relative
    limit = resolve(spec, {})
    assert (limit.metric, limit.upper, limit.bound) == (metric, upper, pytest.approx(bound))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("worst_class_drop <= 3 %", "two ways"),
        ("worst_class_drop <= 3 % relative", "two ways"),
        ("worst_class_drop <= 3", "a share above 1 without a unit"),
        ("worst_class_drop <= 300 pt", "says nothing"),
        ("ece_rise <= -300 pt", "no model can meet"),
        ("worst_class_drop >= 3 pt", "is better lower"),
        ("agreement <= 90 %", "is better higher"),
        ("throughput <= 50 /s", "throughput is better higher"),
        ("delegated <= 50 %", "delegated is better higher"),
        ("agreement >= 110 %", "no model can meet"),
        ("agreement >= teacher - 1 pt absolute", "a comparison with the teacher already"),
        ("ece_rise <= 2 ms", "unknown unit 'ms'"),
        ("worst_class_dorp <= 3 pt", "did you mean 'worst_class_drop'"),
    ],
)
def test_limits_on_side_effects_that_cannot_be_accepted(text, message):
    # The suggestion is part of the whole message.
    with pytest.raises(UserError, match=message):
        parse_limit(text, "accuracy")


@pytest.mark.parametrize(
    "text",
    [
        "latency <= 0 % of teacher",
        "latency <= teacher - 200 % relative",
        "accuracy >= teacher + 200 pt absolute",
        f"latency <= {'9' * 400} % of teacher",
        f"latency <= {'9' * 900} ms",
        "latency\n<= 5 ms",
        "latency <= 5 ms\0",
        f"{'x' * 5000} <= 5 ms",
        "latency <= \u0663 ms",
        "",
    ],
)
def test_a_limit_that_nobody_can_mean_is_refused_in_few_words(text):
    with pytest.raises(UserError) as caught:
        parse_limit(text, "accuracy")
    assert len(str(caught.value)) < 700


def test_a_limit_is_the_number_that_is_written():
    assert parse_limit("latency <= 3.00000001 ms", "accuracy").bound == 3.00000001
    assert parse_limit("accuracy >= 69 %", "accuracy").bound == 0.69


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"latency": "-5 ms"}, "no model has such a value"),
        ({"latency": 5.0}, "a unit is missing"),
        ({"accuracy": "200 %"}, "no model has such a value"),
        ({"latency": "5 ms", "latency_ms": "6 ms"}, "named twice"),
        ({"lateny": "5 ms"}, "did you mean 'latency'"),
    ],
)
def test_a_reference_that_cannot_be_is_refused_at_its_place(values, message):
    with pytest.raises(UserError, match=message) as caught:
        parse_reference(values, "accuracy")
    assert caught.value.place == f"reference.{list(values)[-1]}"


def test_a_limit_in_decibels():
    for text in ("psnr >= 30\xa0dB", "psnr >= 30 dB", "psnr >= 30", "psnr >= teacher - 0.5 dB"):
        assert parse_limit(text, "psnr").metric == "psnr"
    assert parse_limit("psnr >= 30 dB", "psnr").bound == 30
    with pytest.raises(UserError, match="unknown unit 'ms'"):
        parse_limit("psnr >= 30 ms", "psnr")


def test_a_metric_of_another_kind_of_workload_is_none_of_this_one():
    for name in ("rmse", "psnr", "f1_macro"):
        with pytest.raises(UserError, match=f"metric is not {name}"):
            parse_limit(f"{name} <= 5", "accuracy")
