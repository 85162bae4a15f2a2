"""What a device says of itself against its profile: another one is refused, a small difference is told."""

import pytest
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.devices.reported import Reported, digest_of_device, fit_of
from paretune.profiles.errors import UserError

PI = load_profile("raspberry-pi-5")
REAL = {
    "machine": "aarch64",
    "bits": 64,
    "processor": "Cortex-A76",
    "instructions": ["neon", "asimdhp", "asimddp"],
    "cores": 4,
    "affinity": [0, 1, 2, 3],
    "memory_bytes": 8_200_000_000,
}


def told(**changes):
    return {name: value for name, value in {**REAL, **changes}.items() if value is not None}


def test_the_device_of_the_profile_raises_nothing_and_keeps_its_keys():
    assert fit_of(PI, REAL) == ()
    assert digest_of_device(PI, REAL) == PI.instruction_digest
    older = told(instructions=["asimd", "asimdhp", "asimddp"], bits=None)  # as runners once named it
    assert (fit_of(PI, older), digest_of_device(PI, older)) == ((), PI.instruction_digest)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"machine": "x86_64", "instructions": ["avx2"]}, ["x86-64", "aarch64"]),
        ({"machine": "armv7l"}, ["armv7l", "aarch64"]),
        ({"machine": "riscv64", "instructions": []}, ["riscv64", "aarch64"]),
        ({"bits": 32}, ["32-bit", "aarch64"]),
        ({"instructions": ["asimd"]}, ["asimddp", "asimdhp", "neon"]),
        ({"instructions": ["neon", "asimdhp", "sve"]}, ["asimddp", "sve"]),
    ],
)
def test_another_device_is_refused_and_both_are_named(changes, named):
    with pytest.raises(UserError) as caught:
        fit_of(PI, told(**changes))
    assert not [word for word in named if word not in caught.value.found]
    assert PI.name in caught.value.problem


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"instructions": ["neon", "asimdhp", "asimddp", "i8mm", "sve"]}, ["i8mm", "sve"]),
        ({"cores": 2, "affinity": [0, 1]}, ["2", "4"]),
        ({"affinity": [3]}, ["1", "4"]),
        ({"memory_bytes": 4 * 10**9}, ["3.7 GiB", "8.0 GiB"]),
        ({"instructions": []}, ["profile"]),
        ({"instructions": None}, ["profile"]),
    ],
)
def test_a_small_difference_is_a_remark(changes, named):
    (remark,) = fit_of(PI, told(**changes))
    assert not [word for word in named if word not in remark]


def test_instruction_sets_of_another_architecture_are_told_and_refuse_nothing():
    passed_through = told(instructions=["avx2", "avx512f", "avx512_vnni"])
    (remark,) = fit_of(PI, passed_through)
    assert "avx512_vnni" in remark
    assert Reported.of(passed_through).instruction_sets is None
    assert digest_of_device(PI, passed_through) == PI.instruction_digest


def test_a_score_belongs_to_the_instruction_sets_that_the_device_has():
    larger = told(instructions=["neon", "asimdhp", "asimddp", "i8mm"])
    assert digest_of_device(PI, larger) == PI.digest_with((*PI.instruction_sets, "i8mm"))
    assert digest_of_device(PI, larger) != PI.instruction_digest


def test_a_card_alone_says_nothing_of_its_host():
    card = load_profile("nvidia-t4")
    assert fit_of(card, told(machine="x86_64", instructions=["avx2"])) == ()
    assert digest_of_device(card, REAL) == card.instruction_digest


def test_a_device_that_says_nothing_is_believed_to_be_its_profile():
    assert Reported.of({}) == Reported()
    assert len(fit_of(PI, {})) == 1
