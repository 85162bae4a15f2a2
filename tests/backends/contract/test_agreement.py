"""The guard after compiling: garbage and silent no-ops must not pass."""

import numpy as np
import pytest
from paretune.backends.contract.agreement import check_agreement, check_coverage, lost_channels, sqnr_db
from paretune.backends.contract.backend import Session, TensorSpec
from paretune.profiles.errors import StageError, UnsupportedError
from paretune.profiles.precision import Precision

SAMPLES = {"x": np.random.default_rng(0).standard_normal((10, 3)).astype(np.float32)}


class Formula(Session):
    """A session that computes with numpy."""

    def __init__(self, function, dtype="float32"):
        self.function = function
        self.inputs = (TensorSpec(name="x", dtype=dtype, shape=(4, 3)),)
        self.outputs = (TensorSpec(name="y", dtype="float32", shape=(4, 3)),)

    def _run(self, feed):
        return {"y": self.function(feed["x"])}

    def close(self):
        pass


def test_sqnr_of_one_percent_noise():
    signal = np.ones(1000)
    assert sqnr_db(signal, signal * 1.01) == pytest.approx(40.0)
    assert sqnr_db(signal, signal) == np.inf
    assert sqnr_db(signal * 0, signal) == -np.inf
    assert np.isnan(sqnr_db(signal, signal * np.nan))


def test_small_noise_passes_and_is_reported():
    notes = check_agreement(Formula(lambda x: x), Formula(lambda x: x * 1.01), 4, SAMPLES)
    assert notes == ("agrees with the float model to 40.0 dB on calibration data",)


def test_an_output_that_is_one_number_is_compared():
    whole = Formula(lambda x: np.asarray(x.sum()))
    notes = check_agreement(whole, Formula(lambda x: np.asarray(x.sum() * np.float32(1.01))), 4, SAMPLES)
    assert notes[0].startswith("agrees with the float model to 40.0 dB")


def test_equal_outputs_need_no_note():
    assert check_agreement(Formula(np.sin), Formula(np.sin), 4, SAMPLES) == ()


def test_garbage_fails_with_its_figure():
    with pytest.raises(StageError, match=r"disagrees with the float model: SQNR -6\.0 dB"):
        check_agreement(Formula(lambda x: x), Formula(lambda x: -x), 4, SAMPLES)


def test_nan_fails():
    with pytest.raises(StageError, match="gives NaN or infinity"):
        check_agreement(Formula(lambda x: x), Formula(lambda x: x * np.inf), 4, SAMPLES)


def test_nan_of_the_source_is_named_as_such():
    with pytest.raises(StageError, match="float model itself"):
        check_agreement(Formula(lambda x: x * np.nan), Formula(lambda x: x), 4, SAMPLES)


def test_without_samples_only_finite_outputs_are_asked_for():
    assert check_agreement(Formula(lambda x: x), Formula(lambda x: -x), 4, None) == ()
    with pytest.raises(StageError, match="gives NaN"):
        check_agreement(Formula(lambda x: x), Formula(lambda x: x * np.nan), 4, None)


def test_made_up_tokens_are_zero():
    seen = []
    source = Formula(lambda x: seen.append(x) or x.astype(np.float32), dtype="int64")
    check_agreement(source, source, 4, None)
    assert all(not tokens.any() for tokens in seen)


@pytest.mark.parametrize(
    ("precision", "stored", "share"),
    [
        (Precision.INT8, {"float32": 400}, 0),
        (Precision.INT4_WEIGHT, {"float32": 400, "int4": 10}, 17),
        (Precision.FP16, {"float32": 400, "float16": 100}, 33),
        (Precision.FP16, {"bfloat16": 400}, 0),
        (Precision.BF16, {"float16": 300, "bfloat16": 100}, 25),
        (Precision.FP8, {"float16": 400, "float8": 100}, 33),
        (Precision.FP8, {"int8": 400}, 0),
        (Precision.INT16X8, {"float32": 400, "int8": 25}, 20),
        (Precision.INT8_DYNAMIC, {}, 0),
    ],
    ids=str,
)
def test_weights_that_kept_their_type_are_refused(precision, stored, share):
    reason = f"{precision} would reach {share} % of the weights: it has kernels for chairs only"
    with pytest.raises(UnsupportedError, match=rf"^{reason}$"):
        check_coverage(precision, stored, "it has kernels for chairs only")


@pytest.mark.parametrize(
    ("precision", "stored"),
    [
        (Precision.INT4_WEIGHT, {"float32": 40, "int4": 100, "int64": 8}),
        (Precision.FP32, {"float32": 40}),
        (Precision.BF16, {"float32": 40, "bfloat16": 400}),
        (Precision.FP8, {"float32": 40, "float8": 100}),
        (Precision.INT16X8, {"int8": 100, "int32": 40, "int64": 80}),
    ],
    ids=str,
)
def test_mostly_converted_weights_pass(precision, stored):
    check_coverage(precision, stored, "")


def test_layers_kept_on_purpose_are_not_asked_for():
    stored = {"float32": 400, "int8": 20}
    with pytest.raises(UnsupportedError, match="int8 would reach 17 % of the weights"):
        check_coverage(Precision.INT8, stored, "")
    check_coverage(Precision.INT8, stored, "", kept_weights=90)


def test_a_trifle_at_the_precision_is_refused():
    reason = "int8 would be left to 2.0 % of the weights, at least 5 % are needed: too many layers are kept"
    with pytest.raises(UnsupportedError, match=reason):
        check_coverage(Precision.INT8, {"float32": 392, "int8": 2}, "", kept_weights=98)


def test_decisions_may_flip_where_scores_are_close_but_not_most_of_them():
    whole = Formula(lambda x: np.array([0, 1, 0, 1]))
    one_other = Formula(lambda x: np.array([0, 1, 0, 0]))
    assert check_agreement(whole, one_other, 4, SAMPLES) == ()
    with pytest.raises(StageError, match="25 % of its whole numbers") as failed:
        check_agreement(whole, Formula(lambda x: np.array([0, 0, 1, 0])), 4, SAMPLES)
    assert failed.value.disagrees


def test_operators_whose_weights_kept_their_type_are_named():
    read_by = {("Conv", "float32"): 10, ("LSTM", "float32"): 90, ("Gemm", "int8"): 60, ("Conv", "int8"): 4}
    with pytest.raises(UnsupportedError, match="39 % of the weights, not those of LSTM, Conv: it has"):
        check_coverage(Precision.INT8, {"float32": 400, "int8": 64}, "it has kernels", read_by=read_by)


def test_what_agrees_only_in_what_all_samples_share_is_garbage():
    """Every output is near 10 and differs by a tenth of that: 20 dB, of which nothing tells samples apart."""
    source = Formula(lambda x: 10 + x / np.abs(x).max())
    with pytest.raises(StageError, match=r"SQNR -?[\d.]+ dB of what differs between samples") as failed:
        check_agreement(source, Formula(lambda x: 10 - x / np.abs(x).max()), 4, SAMPLES)
    assert failed.value.disagrees
    assert check_agreement(source, Formula(lambda x: 10 + 0.9 * x / np.abs(x).max()), 4, SAMPLES)


def test_outputs_that_hardly_differ_are_not_asked_to():
    steady = Formula(lambda x: 1e5 + 0 * x + np.arange(len(x)).reshape(-1, *[1] * (x.ndim - 1)))
    assert check_agreement(steady, Formula(lambda x: 1e5 + 0 * x), 4, SAMPLES)


def test_channels_that_a_large_one_hides_are_told():
    wanted = np.stack([np.linspace(-1e4, 1e4, 64), np.linspace(-1, 1, 64), np.linspace(5, 9, 64)], 1)
    got = wanted + np.array([20.0, 20.0, 0.1])
    assert sqnr_db(wanted, got) > 40
    assert lost_channels(wanted, got, "y").startswith("1 of 3 channels of its output y are lost in rounding")
    assert lost_channels(wanted, wanted, "y") == ""
