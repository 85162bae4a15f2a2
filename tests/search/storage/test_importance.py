from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate
from paretune.search.storage.importance import axes_of


def test_sample_counts_that_end_in_zero_stay_apart():
    axes = [
        axes_of(
            Candidate(
                backend="ort",
                precision=Precision.INT8,
                calibration_method="minmax",
                calibration_samples=count,
            )
        )["calibration"]
        for count in (1, 10, 100)
    ]
    assert axes == ["minmax 1", "minmax 10", "minmax 100"]
    assert axes_of(Candidate(backend="ort", precision=Precision.FP32))["calibration"] == "-"
