"""Each adapter of a meter, by what was recorded of it."""

import errno
import os
from pathlib import Path

import pytest
from contracts.meter_contract import MeterContract
from paretune.backends.energy import nvml as adapter
from paretune.backends.energy.discover import MeterWish, chosen, look, opened
from paretune.backends.energy.meter import MeterError
from paretune.backends.energy.pmic import watts_of
from paretune.backends.energy.rapl import Rapl
from paretune.backends.energy.tegrastats import rails_in
from recorded_meters import NANO, ORIN, PI_5, ina226, ina3221, nvml, rapl, repeats, says

ZONE = "sys/class/powercap/intel-rapl:0"


class TestRapl(MeterContract):
    kind, rail, scope = "rapl", "package", "package"

    def device(self, folder):
        return MeterWish(kind=self.kind, root=str(rapl(folder)))

    def told(self, meter):
        before = meter.read()
        return meter.read() - before, 0.0

    def spoil(self, folder, text):
        (folder / ZONE / "energy_uj").write_text(text)


class TestInaOfThreeChannels(MeterContract):
    kind, rail, scope = "hwmon", "VDD_IN", "module"

    def device(self, folder):
        return MeterWish(kind=self.kind, root=str(ina3221(folder)))

    def told(self, meter):
        return meter.read(), 5.072 * 0.892

    def spoil(self, folder, text):
        (folder / "sys/class/hwmon/hwmon1/curr1_input").write_text(text)


class TestInaThatMultiplies(MeterContract):
    kind, rail, scope = "hwmon", "ina226 power1", "rail"

    def device(self, folder):
        return MeterWish(kind=self.kind, root=str(ina226(folder)))

    def told(self, meter):
        return meter.read(), 3.275

    def spoil(self, folder, text):
        (folder / "sys/class/hwmon/hwmon3/power1_input").write_text(text)


class TestPmic(MeterContract):
    kind, rail, scope = "pmic", "sum of rails", "module"

    def device(self, folder):
        return MeterWish(kind=self.kind, program=str(says(folder, "vcgencmd", PI_5)))

    def told(self, meter):
        rails = 0.07611780 * 3.696 + 0.05855216 * 3.31331 + 0.8715 * 0.72115770
        return meter.read(), rails

    def spoil(self, folder, text):
        (folder / "vcgencmd.txt").write_text(text)


class TestTegrastats(MeterContract):
    kind, rail, scope = "tegrastats", "VDD_IN", "module"

    def device(self, folder):
        return MeterWish(kind=self.kind, program=str(repeats(folder, "tegrastats", ORIN)))

    def told(self, meter):
        return meter.read(), 4.521

    def spoil(self, folder, text):
        (folder / "tegrastats.txt").write_text(f"VDD_IN {text}mW/{text}mW\n")


class TestNvml(MeterContract):
    kind, rail, scope = "nvml", "card 0", "gpu"
    said: object = 41_250

    @pytest.fixture(autouse=True)
    def cards(self, monkeypatch):
        fake = nvml(None, milliwatts=lambda: self.said, fails={"nvmlDeviceGetTotalEnergyConsumption"})
        monkeypatch.setattr(adapter.importlib, "import_module", lambda name: fake)
        self.fake = fake

    def device(self, folder):
        return MeterWish(kind=self.kind)

    def told(self, meter):
        return meter.read(), 41.25

    def spoil(self, folder, text):
        self.said = text

    def test_a_device_without_it_has_none(self, tmp_path):
        self.fake.nvmlDeviceGetCount = lambda: 0
        super().test_a_device_without_it_has_none(tmp_path)


# -- RAPL ---------------------------------------------------------------------------------------------


def counter(root, span=262_143_328_850):
    """A package whose clock and counter the test moves."""
    clock = [0.0]
    zone = rapl(root, uj=span - 1_000_000, span=span) / ZONE
    facts = look(MeterWish(kind="rapl", root=str(root))).meters[0]
    meter = Rapl(facts, [zone], lambda: clock[0])

    def later(seconds, uj):
        clock[0] += seconds
        (zone / "energy_uj").write_text(f"{uj}\n")
        return meter.read()

    return later


def test_a_counter_that_starts_anew_counts_on(tmp_path):
    later = counter(tmp_path)
    assert later(0.1, 262_143_328_850 - 400_000) == pytest.approx(0.6)
    assert later(0.1, 300_000) == pytest.approx(1.3)


def test_a_counter_that_went_back_is_refused(tmp_path):
    later = counter(tmp_path)
    with pytest.raises(MeterError, match="went back"):
        later(0.1, 262_143_328_850 - 2_000_000)


def test_a_counter_that_may_have_started_anew_twice_is_refused(tmp_path):
    later = counter(tmp_path, span=2_000_000)
    with pytest.raises(MeterError, match="more than once"):
        later(0.5, 500_000)


def test_packages_are_added_up_and_what_they_contain_is_left_out(tmp_path):
    meters = look(MeterWish(root=str(rapl(tmp_path, packages=2)))).meters
    assert {(one.rail, one.scope) for one in meters} == {
        ("package x 2", "package"),
        ("psys", "platform"),
        ("core x 2", "cores"),
        ("dram x 2", "memory"),
    }
    assert chosen(look(MeterWish(root=str(tmp_path))), MeterWish(), gpu=False).rail == "package x 2"


def test_counters_for_root_alone_say_so(tmp_path, monkeypatch):
    rapl(tmp_path)

    def refused(path, *_):  # tests may run as root, who reads everything
        if Path(path).name == "energy_uj":
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_file(path, *_)

    open_file = os.open
    monkeypatch.setattr(os, "open", refused)
    found = look(MeterWish(root=str(tmp_path)))
    assert found.meters == ()
    with pytest.raises(MeterError, match="ermission denied") as error:
        chosen(found, MeterWish(), gpu=False)
    assert "root" in error.value.remedy


# -- rails --------------------------------------------------------------------------------------------


def test_the_input_of_a_module_is_chosen_and_never_added_to_what_it_contains(tmp_path):
    root = str(ina3221(tmp_path))
    found = look(MeterWish(root=root))
    assert [one.rail for one in found.meters] == ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]
    assert chosen(found, MeterWish(), gpu=True).rail == "VDD_IN"
    both = MeterWish(kind="hwmon", rails=("VDD_IN", "VDD_SOC"), root=root)
    with pytest.raises(MeterError, match="twice"):
        chosen(found, both, gpu=True)


def test_rails_that_the_profile_names_are_added_up(tmp_path):
    rails = ("VDD_CPU_GPU_CV", "VDD_SOC")
    wish = MeterWish(kind="hwmon", rails=rails, scope="module", root=str(ina3221(tmp_path)))
    facts = chosen(look(wish), wish, gpu=False)
    assert (facts.rail, facts.scope) == ("VDD_CPU_GPU_CV + VDD_SOC", "module")
    assert opened(wish, rails).read() == pytest.approx(5.072 * 0.120 + 5.064 * 0.272)


def test_a_rail_of_which_nobody_says_what_it_covers_is_taken_by_name_alone(tmp_path):
    root = str(ina226(tmp_path))
    with pytest.raises(MeterError, match="says not of what") as error:
        chosen(look(MeterWish(root=root)), MeterWish(root=root), gpu=False)
    assert "ina226 power1" in error.value.remedy
    named = MeterWish(kind="hwmon", rails=("ina226 power1",), scope="board", root=root)
    assert chosen(look(named), named, gpu=False).scope == "board"


def test_a_meter_that_is_not_there_is_refused_with_what_there_is(tmp_path):
    wish = MeterWish(kind="hwmon", rails=("VDD_GPU",), root=str(ina3221(tmp_path)))
    with pytest.raises(MeterError, match=r"VDD_GPU.*VDD_IN"):
        chosen(look(wish), wish, gpu=False)


# -- programs -----------------------------------------------------------------------------------------


def test_rails_of_old_and_new_boards_are_read_and_memory_is_none():
    assert rails_in(ORIN) == {"VDD_IN": 4.521, "VDD_CPU_GPU_CV": 0.612, "VDD_SOC": 1.378}
    assert rails_in(NANO) == {"POM_5V_IN": 4.072, "POM_5V_GPU": 0.0, "POM_5V_CPU": 0.122}


def test_a_rail_that_is_told_twice_is_refused():
    with pytest.raises(MeterError, match="twice"):
        watts_of(PI_5 + "VDD_CORE_A current(7)=0.5A\n")


def test_a_board_whose_firmware_has_no_such_readings_says_what_it_said(tmp_path):
    tool = says(tmp_path, "vcgencmd", 'error=1 error_msg="Command not registered"\n')
    found = look(MeterWish(kind="pmic", program=str(tool)))
    assert found.meters == ()
    assert "not registered" in found.unreadable[0].reason


@pytest.mark.parametrize("kind", ["pmic", "tegrastats"])
def test_a_program_that_hangs_is_ended(tmp_path, kind, monkeypatch):
    monkeypatch.setattr("paretune.backends.watch.tools.LIMIT_S", 0.2)
    monkeypatch.setattr("paretune.backends.energy.tegrastats.FIRST_S", 0.2)
    tool = tmp_path / "hangs"
    tool.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 1000\n")
    tool.chmod(0o755)
    found = look(MeterWish(kind=kind, program=str(tool)))
    assert found.meters == ()
    assert found.unreadable
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_tegrastats_that_ends_is_refused_with_its_words(tmp_path):
    found = look(MeterWish(kind="tegrastats", program=str(says(tmp_path, "t", "must be root"))))
    assert "must be root" in found.unreadable[0].reason


# -- cards --------------------------------------------------------------------------------------------


def test_a_card_that_counts_is_read_by_its_counter_and_may_not_go_back():
    (card,), _ = adapter.found(lambda: nvml([1_000, 1_000, 3_500, 2_000]))
    assert card.facts.counter
    assert (card.read(), card.read()) == (1.0, 3.5)
    with pytest.raises(MeterError, match="went back"):
        card.read()


def test_of_several_cards_the_profile_has_to_name_one(monkeypatch):
    fake = nvml(None, milliwatts=40_000, cards=2, fails={"nvmlDeviceGetTotalEnergyConsumption"})
    monkeypatch.setattr(adapter.importlib, "import_module", lambda name: fake)
    found = look(MeterWish(kind="nvml"))
    with pytest.raises(MeterError, match="several"):
        chosen(found, MeterWish(kind="nvml"), gpu=True)
    assert chosen(found, MeterWish(kind="nvml", rails=("card 1",)), gpu=True).rail == "card 1"


def test_a_card_is_no_meter_of_a_device_that_is_a_processor(tmp_path):
    rails = look(MeterWish(root=str(rapl(tmp_path))))
    assert chosen(rails, MeterWish(), gpu=True).kind == "rapl"


def test_rails_of_one_name_are_told_apart_and_a_slow_sensor_gets_long_windows(tmp_path):
    chip = ina3221(tmp_path) / "sys/class/hwmon/hwmon1"
    for number in (1, 2, 3):
        (chip / f"in{number}_label").write_text("VDD_IN")
    (chip / "update_interval").write_text("1000")
    meters = look(MeterWish(root=str(tmp_path))).meters
    assert [one.rail for one in meters] == ["VDD_IN", "VDD_IN of hwmon1", "VDD_IN of hwmon1 in3"]
    assert {one.window_s for one in meters} == {100.0}
    (chip / "update_interval").write_text("50000")
    found = look(MeterWish(root=str(tmp_path)))
    assert (len(found.meters), len(found.unreadable)) == (0, 3)
