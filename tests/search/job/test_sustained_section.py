"""What a study file may say of how long its finalists are kept at work."""

import pytest
from paretune.search.job.sustained_section import SustainedSection, sustained_section
from paretune.search.record.sustained import SustainedLoad
from pydantic import TypeAdapter, ValidationError


def read(said):
    return TypeAdapter(SustainedSection).validate_python(sustained_section(said))


@pytest.mark.parametrize(
    ("said", "seconds", "load"),
    [
        ("10 min", 600.0, SustainedLoad()),
        ("1 h", 3600.0, SustainedLoad()),
        ({"time": "90 s", "load": "full"}, 90.0, SustainedLoad()),
        ({"time": "2 min", "load": "20 /s"}, 120.0, SustainedLoad(rate=20.0)),
        ({"time": "2 min", "load": "30 /min"}, 120.0, SustainedLoad(rate=0.5)),
        ({"time": "2 min", "load": "80 %"}, 120.0, SustainedLoad(share=0.8)),
        ({"time": "2 min", "load": None}, 120.0, SustainedLoad()),
    ],
)
def test_time_and_load_are_read(said, seconds, load):
    found = read(said)
    assert (found.time, found.load) == (seconds, load)
    assert read({"time": f"{found.time:g} s", "load": str(found.load)}) == found


LOADS = ("100 %", "0 %", "0 /s", "20", "fast", 20, 0.8, "20 ms", "nan /s")
TIMES = ("30 s", "2 d", "10", "ten minutes", True, [], ["10 min"], {}, {"load": "20 /s"}, "", "-5 min")


@pytest.mark.parametrize(
    "said",
    [*TIMES, *({"time": "2 min", "load": load} for load in LOADS), {"time": "2 min", "minutes": 3}],
)
def test_what_cannot_be_meant_is_refused(said):
    with pytest.raises(ValidationError):
        read(said)
