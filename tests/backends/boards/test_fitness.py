"""What speaks against measuring on a device, by facts as a device tells them."""

from dataclasses import replace

import pytest
from paretune.backends.boards.facts import Disk, Facts, Noise, noise_in
from paretune.backends.boards.fitness import (
    LEAST_DISK_BYTES,
    LEAST_MEMORY_BYTES,
    LONG_START_S,
    MOST_TOLD_APART,
    judged,
)
from paretune.backends.boards.meters import seen
from paretune.backends.energy.discover import MetersFound
from paretune.backends.energy.meter import MeterFacts, Unreadable
from paretune.backends.measure import fixed_work
from paretune.backends.measure.fixed_work import timed_work
from paretune.backends.measure.latency import measure
from paretune.backends.measure.samples import LatencyPlan, against_itself
from paretune.backends.measure.space import free_memory_bytes
from paretune.backends.measure.spread import Spread
from paretune.backends.registry import backend_names, get_backend
from paretune.backends.watch.state import Quota, State
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.errors import StageError, UserError

RUNTIME = get_backend(backend_names()[0]).packages[0]
PACKAGES = {"paretune": "0.1.0", "numpy": "2.0", RUNTIME: "1.0"}
GOOD = Facts(
    device="pi@board",
    by_hand="ssh pi@board",
    start_s=1.0,
    round_trip_s=0.001,
    before=State(
        seconds=1.0, governor="performance", temperature_c={"cpu": 50.0}, slowed=(), counts={"package": 3}
    ),
    environment={"python": "3.13.1", "packages": PACKAGES, "cores": 4, "load_average": [0.1, 0.1, 0.1]},
    here={"python": "3.11.7", "packages": PACKAGES},
    disks=(Disk(purpose="workdir", path="/home/pi", free_bytes=10**10),),
    free_memory_bytes=10**9,
    noise=Noise(spread=Spread(deviation=0.002, processes=3), told_apart=0.02, work_s=1e-3, cores=(3,)),
)


def state(**said):
    return replace(GOOD.before, **said)


def there(**said):
    return {**GOOD.environment, **said}


def against(facts):
    return {finding.name for finding in judged(facts, "pi.yaml").against}


def test_a_good_board_is_fit():
    found = judged(GOOD, "pi.yaml")
    assert found.fit
    assert found.value("told_apart") == 0.02
    assert [f.name for f in found.findings if f.ok is None] == []


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        (
            {"disks": (Disk(purpose="workdir", path="/w", free_bytes=LEAST_DISK_BYTES - 1),)},
            "workdir_disk_bytes",
        ),
        ({"disks": (Disk(purpose="temporary", path="/tmp", free_bytes=0),)}, "temporary_disk_bytes"),
        ({"free_memory_bytes": LEAST_MEMORY_BYTES - 1}, "memory_bytes"),
        ({"environment": there(packages={**PACKAGES, "paretune": "0.0.9"})}, "versions"),
        ({"environment": there(packages={"numpy": "2.0", RUNTIME: "1.0"})}, "versions"),
        ({"environment": there(packages={"paretune": "0.1.0", "numpy": "2.0"})}, "versions"),
        ({"noise": replace(GOOD.noise, told_apart=MOST_TOLD_APART * 1.01)}, "told_apart"),
        ({"noise": Noise(failed="it was killed")}, "told_apart"),
        ({"before": state(governor="ondemand")}, "governor"),
        ({"before": state(governor="performance, schedutil")}, "governor"),
        ({"before": state(temperature_c={"cpu": 50.0, "soc": 81.0})}, "temperature_c"),
        ({"after": state(temperature_c={"cpu": 85.0})}, "temperature_c"),
        ({"before": state(slowed=("under-voltage",))}, "throttling"),
        ({"after": state(slowed=("throttled",))}, "throttling"),
        ({"after": state(counts={"package": 4})}, "throttling"),
        ({"before": state(quota=Quota(cores=0.5))}, "quota"),
        (
            {
                "before": state(quota=Quota(cores=2.0, periods=10, throttled=1)),
                "after": state(quota=Quota(cores=2.0, periods=90, throttled=2)),
            },
            "quota",
        ),
        ({"noise": Noise()}, "told_apart"),
        ({"other_device": UserError("it is another", found="aarch64", remedy="name its own")}, "profile"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(changed, wrong):
    facts = replace(GOOD, **changed)
    assert against(facts) == {wrong}
    finding = judged(facts, "pi.yaml").against[0]
    assert finding.why
    assert finding.remedy


@pytest.mark.parametrize(
    "changed",
    [
        {"start_s": LONG_START_S + 1},
        {"round_trip_s": 0.5},
        {"differs": ("it has avx2, which its profile does not say",)},
        {"disks": (Disk(purpose="workdir", path="/w", free_bytes=None),)},
        {"free_memory_bytes": None},
        {"environment": there(load_average=[3.5, 0.0, 0.0])},
        {"environment": there(load_average=None)},
        {"environment": there(load_average=["much"], cores="four")},
        {"environment": there(packages={**PACKAGES, RUNTIME: "1.1"})},
        {"noise": replace(GOOD.noise, cores=())},
        {"before": state(governor="")},
        {"before": state(temperature_c={})},
        {"before": state(slowed=None)},
        {"before": state(was_slowed=("under-voltage",))},
        {"before": state(quota=Quota(cores=2.0))},
    ],
)
def test_what_is_only_worth_knowing_does_not_make_it_unfit(changed):
    found = judged(replace(GOOD, **changed), "pi.yaml")
    assert found.fit
    notes = [finding for finding in found.findings if finding.ok is None]
    assert len(notes) == 1
    assert notes[0].why


def test_a_device_that_tells_nothing_of_its_state_is_fit_all_the_same():
    found = judged(replace(GOOD, before=None), "pi.yaml")
    assert found.fit
    assert [found.value(name) for name in ("governor", "temperature_c", "throttling", "quota")] == [None] * 4


def test_the_governor_is_set_by_one_command_there_or_here():
    slow = state(governor="powersave")
    there_, here = replace(GOOD, before=slow), replace(GOOD, before=slow, by_hand="")
    remote, local = (judged(facts, "pi.yaml").against[0].remedy for facts in (there_, here))
    assert remote.startswith("`ssh pi@board 'echo performance | sudo tee ")
    assert local.startswith("`echo performance | sudo tee ")


def test_an_older_paretune_of_this_machine_itself_is_not_looked_for():
    local = replace(GOOD, by_hand="", device="this machine", environment=there(packages={RUNTIME: "1.0"}))
    assert judged(local, "host").fit


class Work:
    """A process whose runs take so many nanoseconds."""

    def __init__(self, ns, breaks=False):
        self.ns, self.breaks = ns, breaks

    def sample(self, loops, count):
        if self.breaks:
            raise StageError("measure", "killed")
        return [self.ns * loops] * count


def rounds_of(*works):
    plan = against_itself(LatencyPlan(warm_up_s=0.0, warm_up_limit_s=0.0))
    return measure({f"process {n}": work for n, work in enumerate(works)}, None, plan)


def test_processes_that_differ_are_seen_in_the_noise():
    alike = noise_in(rounds_of(*[Work(2_000_000)] * 3), (1,))
    assert (alike.told_apart, alike.work_s) == (0.0, 0.002)
    apart = noise_in(rounds_of(Work(2_000_000), Work(2_100_000), Work(1_900_000)), (1,))
    assert apart.told_apart > MOST_TOLD_APART


def test_a_process_that_dies_in_it_is_told():
    noise = noise_in(rounds_of(Work(2_000_000), Work(2_000_000), Work(1, breaks=True)), (1,))
    assert (noise.failed, noise.told_apart) == ("killed", None)


def test_the_fixed_work_takes_time(monkeypatch):
    monkeypatch.setattr(fixed_work, "hold_on", lambda *_: ())  # this process stays free
    told = timed_work({"loops": 2, "count": 3})
    assert len(told["nanoseconds"]) == 3
    assert min(told["nanoseconds"]) > 1000
    assert timed_work({"loops": 1, "count": 0})["nanoseconds"] == []


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({"proc/meminfo": "MemTotal: 900 kB\nMemAvailable: 500 kB\n"}, 512_000),
        ({"proc/meminfo": "MemTotal: 900 kB\n"}, None),
        ({"proc/meminfo": "MemAvailable: many\n"}, None),
        ({}, None),
        (
            {
                "proc/meminfo": "MemAvailable: 500 kB\n",
                "sys/fs/cgroup/memory.max": "300000\n",
                "sys/fs/cgroup/memory.current": "250000\n",
                "sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 20000\n",
            },
            70_000,
        ),
        (
            {
                "proc/meminfo": "MemAvailable: 500 kB\n",
                "sys/fs/cgroup/memory.max": "max\n",
                "sys/fs/cgroup/memory.current": "250000\n",
            },
            512_000,
        ),
        (
            {
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "100",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": "500",
            },
            0,
        ),
    ],
)
def test_free_memory_is_what_system_and_container_leave(tmp_path, files, free):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert free_memory_bytes(tmp_path) == free


def test_a_meter_is_named_and_one_that_cannot_be_read_is_a_note():
    profile = load_profile("raspberry-pi-5")
    facts = MeterFacts(
        kind="pmic", rail="sum of rails", scope="module", counter=False, every_s=0.1, window_s=10.0
    )
    broken = Unreadable(kind="rapl", rail="package", reason="permission denied", remedy="be root")
    cases = {
        (facts.title, True): MetersFound(meters=(facts,)),
        ("", None): MetersFound(unreadable=(broken,)),
        ("", True): MetersFound(),
    }
    for (taken, ok), found in cases.items():
        fitness = judged(replace(GOOD, meters=seen(profile, found)), "pi.yaml")
        finding = next(one for one in fitness.findings if one.name == "meter")
        assert (finding.value["taken"], finding.ok) == (taken, ok)
        assert fitness.fit
    assert judged(replace(GOOD, meters=seen(profile, None)), "pi.yaml").value("meter") is None
