"""Two nights compared, from plain values: what each kind of change comes to."""

from dataclasses import replace

import numpy as np
import pytest
from paretune.profiles.errors import UserError
from paretune.profiles.quantity import Quantity
from paretune.search.checks.tolerances import read_tolerances
from paretune.search.record.checks import VERDICT, VERSIONS, CheckOutcome
from paretune.search.record.evaluation import Limit
from paretune.search.record.samples import of_hits
from paretune.search.regress.baseline import BASELINE, Anchor, Baseline, Shippable
from paretune.search.regress.compare import regressed
from paretune.search.regress.regress import check_comparable, regress
from paretune.search.regress.sources import BASELINE_FILE, from_file, read_baseline

PASSED, FAILED, WARNING, OPEN, NOTED, SKIPPED = (
    CheckOutcome.PASSED,
    CheckOutcome.FAILED,
    CheckOutcome.WARNING,
    CheckOutcome.INCONCLUSIVE,
    CheckOutcome.NOTED,
    CheckOutcome.SKIPPED,
)
RIGHT = np.random.default_rng(0).random(2000) < 0.9
LATENCY = Limit(text="latency <= 2 ms", metric="latency_ms", upper=True, bound=2.0)


def within(value, share=0.003):
    return Quantity(value=value, low=value * (1 - share), high=value * (1 + share))


def score(right, samples="test"):
    share = float(right.mean())
    return Quantity(value=share, low=share - 0.013, high=share + 0.013, by_sample=of_hits(samples, right))


def shippable(digest="a", number=1, ratio=0.5, right=RIGHT, reference_ms=2.0, samples="test", **changes):
    metrics = {
        "accuracy": score(right, samples),
        "latency_ratio": within(ratio),
        "latency_ms": within(1.05 * ratio * reference_ms),
        "latency_min_ms": within(ratio * reference_ms),
        "memory_bytes": within(3e7),
        "size_bytes": Quantity(value=2e4, low=2e4, high=2e4),
        **changes.pop("metrics", {}),
    }
    named = {"digest": digest, "number": number, "title": digest, "artifact_key": f"file of {digest}"}
    return Shippable(**named, metrics=metrics, **changes)


def night(shipped=None, *, reference_ms=2.0, teacher=RIGHT, **changes):
    anchor = Anchor(
        model="weights", structure="net", artifact_key="reference", backend="ort",
        versions={"onnxruntime": "1.0"},
        latency_ms=within(reference_ms), quality=score(teacher, changes.pop("samples", "test")),
    )  # fmt: skip
    plain = {
        "source": "a night", "study": "s", "quality": "accuracy", "workload": "w", "profile": "host",
        "status": "met", "anchor": anchor, "processes": 5, "machine": {"processor": "one"},
        "versions": {"onnxruntime": "1.0"}, "shipped": shippable() if shipped is None else shipped,
    }  # fmt: skip
    return Baseline(**{**plain, **changes})


def on_another_runtime(reference_ms):
    return Anchor(
        model="weights", structure="net", artifact_key="made anew", backend="ort",
        versions={"onnxruntime": "2.0"}, latency_ms=within(reference_ms),
    )  # fmt: skip


def outcomes(then, now, *tolerate):
    """(start of the subject, metric) to outcome."""
    found = regressed(then, now, read_tolerances(tolerate, now.quality))
    return {(one.subject.split(",")[0], one.metric): one.outcome for one in found.checks}


SHIPPED = "what is shipped"


def test_the_same_night_passes_in_all_that_is_asked():
    found = outcomes(night(), night(), "latency 3 %", "accuracy 0.2 pt")
    assert found.pop(("the reference", "latency_min_ms")) is NOTED
    assert set(found.values()) == {PASSED}
    assert len(found) == 6


def test_a_slower_candidate_a_lost_decision_and_a_larger_file_fail_each():
    assert outcomes(night(), night(shippable(ratio=0.54)), "latency 3 %")[SHIPPED, "latency_ratio"] is FAILED
    worse = RIGHT & (np.arange(2000) % 20 != 0)
    assert outcomes(night(), night(shippable(right=worse)))[SHIPPED, "accuracy"] is FAILED
    larger = shippable(metrics={"size_bytes": Quantity(value=2e4 + 1)})
    assert outcomes(night(), night(larger), "size 0 %")[SHIPPED, "size_bytes"] is FAILED
    assert outcomes(night(), night(larger))[SHIPPED, "size_bytes"] is PASSED


def test_latency_in_milliseconds_is_tolerated_as_the_share_that_it_is():
    slower = night(shippable(ratio=0.54))  # 8 % of 1.05 ms
    assert outcomes(night(), slower, "latency 0.2 ms")[SHIPPED, "latency_ratio"] is PASSED
    assert outcomes(night(), slower, "latency 0.02 ms")[SHIPPED, "latency_ratio"] is FAILED


def test_a_machine_that_is_slower_tonight_fails_nothing():
    slow = night(shippable(reference_ms=3.0), reference_ms=3.0)
    found = outcomes(night(), slow, "latency 3 %")
    assert found[SHIPPED, "latency_ratio"] is PASSED
    assert found["the reference", "latency_min_ms"] is OPEN


def test_a_runtime_that_slows_everything_down_is_seen_though_the_ratio_is_as_it_was():
    upgraded = on_another_runtime(3.0)
    slow = night(shippable(reference_ms=3.0), anchor=upgraded, versions={"onnxruntime": "2.0"})
    found = outcomes(night(), slow)
    assert found["the reference", "latency_min_ms"] is FAILED
    assert found[SHIPPED, "latency_min_ms"] is FAILED
    assert (SHIPPED, "latency_ratio") not in found
    assert found["the environment", VERSIONS] is NOTED


def test_a_reference_that_only_became_quicker_fails_no_candidate():
    upgraded = on_another_runtime(1.0)
    found = outcomes(night(), night(shippable(ratio=1.0, reference_ms=1.0), anchor=upgraded))
    assert found[SHIPPED, "latency_min_ms"] is PASSED
    assert FAILED not in found.values()


def test_a_teacher_trained_anew_takes_as_long_as_it_did_and_one_of_another_structure_does_not():
    trained = replace(night().anchor, model="other weights", artifact_key="other file")
    slower = night(shippable(ratio=0.54), anchor=trained)
    assert outcomes(night(), slower, "latency 3 %")[SHIPPED, "latency_ratio"] is FAILED
    other = night(shippable(ratio=0.54), anchor=replace(trained, structure="another net"))
    found = outcomes(night(), other, "latency 3 %")
    assert (SHIPPED, "latency_ratio") not in found
    assert found["the reference", "latency_min_ms"] is SKIPPED


@pytest.mark.parametrize(
    "changes", [{"profile": "pi"}, {"machine": {"processor": "two"}}, {"estimated": True}]
)
def test_what_another_device_takes_is_not_compared_but_quality_is(changes):
    found = outcomes(night(), night(shippable(ratio=0.9), **changes))
    assert found[SHIPPED, "latency_ratio"] is found["the reference", "latency_min_ms"] is SKIPPED
    assert found[SHIPPED, "accuracy"] is found[SHIPPED, "size_bytes"] is PASSED


def test_a_disturbed_measurement_may_pass_but_not_fail():
    slower = night(shippable(ratio=0.54), disturbed="throttled")
    assert outcomes(night(), slower, "latency 3 %")[SHIPPED, "latency_ratio"] is OPEN
    assert outcomes(night(), night(disturbed="throttled"))[SHIPPED, "latency_ratio"] is PASSED


def test_throughput_on_a_busier_machine_is_no_loss_but_on_a_quiet_one_is():
    def with_throughput(value, typical):
        return night(shippable(metrics={"throughput_per_s": within(value), "latency_ms": within(typical)}))

    then, asked = with_throughput(1000, 1.05), "throughput 5 %"
    assert outcomes(then, with_throughput(400, 2.0), asked)[SHIPPED, "throughput_per_s"] is OPEN
    assert outcomes(then, with_throughput(400, 1.05), asked)[SHIPPED, "throughput_per_s"] is FAILED


def test_other_samples_are_compared_by_their_intervals_and_it_is_said():
    worse = RIGHT & (np.arange(2000) % 50 != 0)
    then, now = night(), night(shippable(right=worse, samples="other"))
    found = regressed(then, now, read_tolerances([], "accuracy"))
    check = next(one for one in found.checks if one.metric == "accuracy" and one.subject.startswith(SHIPPED))
    assert check.outcome is OPEN
    assert check.reason


def test_another_recommendation_is_a_choice_where_the_candidate_of_then_is_as_it_was():
    other = shippable("b", 2, ratio=0.6, metrics={"size_bytes": Quantity(value=3e4)})
    found = outcomes(night(), night(other, others=(shippable(number=7),)))
    assert found[SHIPPED, "latency_ratio"] is found[SHIPPED, "size_bytes"] is WARNING
    assert found["what was shipped", "latency_ratio"] is PASSED
    gone = outcomes(night(), night(other, others=(shippable(number=7, ratio=0.6),)))
    assert gone[SHIPPED, "latency_ratio"] is gone["what was shipped", "latency_ratio"] is FAILED


def test_a_teacher_that_lost_is_told_apart_from_what_is_shipped():
    worse = RIGHT & (np.arange(2000) % 20 != 0)
    found = outcomes(night(), night(teacher=worse))
    assert found["the teacher", "accuracy"] is FAILED
    assert found[SHIPPED, "accuracy"] is PASSED


def test_a_limit_that_is_missed_beyond_noise_fails_the_verdict_and_one_at_its_edge_does_not():
    def at(latency, status):
        shipped = shippable(metrics={"latency_ms": within(latency)})
        return night(shipped, limits=(LATENCY,), status=status)

    met = at(1.99, "met")
    missed = outcomes(met, at(3.0, "not_met"))
    assert missed["the limit latency <= 2 ms", "latency_ms"] is FAILED
    assert missed["the study", VERDICT] is FAILED
    edge = outcomes(met, at(2.01, "not_met"))
    assert edge["the study", VERDICT] is OPEN
    assert FAILED not in edge.values()


def test_nothing_to_ship_tonight_fails_and_a_baseline_without_anything_is_refused():
    nothing = replace(night(), shipped=None, status="nothing_usable")
    assert outcomes(night(), nothing)["the study", VERDICT] is FAILED
    with pytest.raises(UserError):
        check_comparable(nothing, night())
    with pytest.raises(UserError):
        check_comparable(night(workload="another"), night())


def test_numbers_that_are_none_and_metrics_that_are_gone_are_skipped():
    broken = shippable(metrics={"latency_ratio": Quantity(value=float("nan"))})
    assert outcomes(night(), night(broken))[SHIPPED, "latency_ratio"] is SKIPPED
    assert outcomes(night(), night(), "energy 5 %")[SHIPPED, "energy_mj"] is SKIPPED
    assert outcomes(night(), night(quality="f1_macro"))[SHIPPED, "f1_macro"] is SKIPPED


def test_a_baseline_survives_its_file_and_a_damaged_one_is_refused(tmp_path):
    file = tmp_path / "night.json"
    file.write_bytes(BASELINE.dump_json(night(), indent=1))
    assert from_file(file) == read_baseline(file) == night()
    (tmp_path / BASELINE_FILE).write_bytes(BASELINE.dump_json(night(), indent=1))
    assert read_baseline(tmp_path) == night(), "the folder of a night"
    assert regress(file, file).passed
    whole = file.read_bytes()
    fewer = whole.replace(b'"count": 2000', b'"count": 4000')
    assert fewer != whole
    for content in (
        b"",
        b"{}",
        b"[]",
        b"\xff",
        whole[:-40],
        fewer,
        whole.replace(b'"data": "', b'"data": "!'),
    ):
        file.write_bytes(content)
        with pytest.raises(UserError) as raised:
            regress(file, file)
        assert raised.value.accepted
    with pytest.raises(UserError):
        regress(tmp_path / "absent", file)
