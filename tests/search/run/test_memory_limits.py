"""A limit on memory that runtimes cannot hold whatever model they run is told before any training."""

import pytest
from paretune.backends.registry import backend_version
from paretune.profiles.devices.shown import device_identity
from paretune.profiles.errors import UserError
from paretune.search.job.job import load_job
from paretune.search.run.memory_limits import as_known
from paretune.search.stages.deployment.runtime_need import STAGE
from paretune.search.store.store import Store, content_key

WORKLOAD = """
import numpy as np
import paretune

ten = paretune.Split(inputs={"x": np.arange(40.0, dtype="f4").reshape(10, 4)}, labels=np.arange(10) % 2)
workload = paretune.Workload(
    name="w", teacher=lambda: None, metric="accuracy", student=lambda width: None,
    splits=lambda: paretune.Splits(train=ten, calibration=ten, validation=ten, test=ten),
)
"""
NEEDS = {
    "ort": {"imported": 20_000_000, "empty": {"load": 27_000_000, "first": 28_000_000, "steady": 28_000_000}},
    "tflite": {"imported": 9_000_000, "empty": {}},
}


@pytest.fixture
def job_with(tmp_path):
    """The job of a study with such limits, on whose device both runtimes were measured before."""

    def made(*limits):
        (tmp_path / "work.py").write_text(WORKLOAD)
        study = "name: small\nworkload: work.py\nprofile: x86-avx2\nbudget: {trials: 4}\n"
        study += "space: {backend: [ort, tflite], precision: fp32}\n"
        (tmp_path / "study.yaml").write_text(f"{study}constraints: {list(limits)}\n")
        job = load_job(tmp_path / "study.yaml")
        store = Store(job.places.store)
        for name, need in NEEDS.items():
            about = {"backend": name, "version": backend_version(name), "threads": 1}
            about["device"] = device_identity(job.profile)
            store.produce(STAGE, content_key(STAGE, 1, about), about, lambda _, need=need: need)
        return job

    return made


def names(job):
    return [one.name for one in job.space.backends]


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        (["memory <= 40 MB"], ["ort", "tflite"]),
        (["memory <= 27.5 MB"], ["tflite"]),
        (["memory_load <= 27.5 MB"], ["ort", "tflite"]),
        (["memory_steady <= 27.5 MB", "memory <= 90 MB"], ["tflite"]),
        (["memory <= 50 % of teacher", "memory >= 1 MB", "latency <= 1 ms"], ["ort", "tflite"]),
    ],
)
def test_runtimes_above_a_limit_are_masked_with_the_reason(job_with, limits, left):
    job = as_known(job_with(*limits))
    assert names(job) == left
    masked = [one for one in job.space.masked if one.what == "all"]
    assert [one.backend for one in masked] == [name for name in NEEDS if name not in left]
    assert all("28 MB" in one.reason and limits[0] in one.reason for one in masked)


def test_where_no_runtime_fits_each_need_and_the_limit_are_told(job_with):
    with pytest.raises(UserError, match="memory <= 8 MB") as refused:
        as_known(job_with("memory <= 8 MB"))
    assert refused.value.found == "ONNX Runtime 28 MB; LiteRT (TFLite) 9 MB"
    assert "9 MB" in refused.value.accepted
    assert refused.value.place.endswith("study.yaml: constraints")


def test_nothing_is_asked_of_a_store_that_is_not_there(job_with, tmp_path):
    job = job_with("memory <= 8 MB")
    (tmp_path / ".paretune").rename(tmp_path / "elsewhere")
    assert as_known(job) is job
    assert not (tmp_path / ".paretune").exists()
