"""What a study file says of deployment: the first value is what the study searches at, the rest is tried."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from paretune.backends.contract.options import RuntimeOption
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.search.job import deploy_axes
from paretune.search.job.deploy_axes import DeployAxes, check_options
from paretune.search.job.study_file import load_study_file
from paretune.search.record.setting import Setting

GOOD = "name: small\nworkload: digits.py\nbudget: {trials: 10}\n"
PACE = RuntimeOption(name="pace", values=("walk", "run", "off"), default="walk", does="how fast")
SPINS = RuntimeOption(name="spinning", values=("off", "on"), default="off", does="whether threads spin")
OPSET = RuntimeOption(
    name="opset", values=("given", "17"), default="given", does="operators", when="compile", exact=False
)
FIRST = Setting(threads=1, batch=1)


class Runtime:
    def options(self, profile, precision, threads):
        return (PACE, OPSET, *((SPINS,) if threads > 1 else ()))


@pytest.fixture(autouse=True)
def _one_runtime(monkeypatch):
    monkeypatch.setattr(deploy_axes, "get_backend", lambda name: Runtime())


def read(tmp_path: Path, deploy: str):
    path = tmp_path / "study.yaml"
    path.write_text(f"{GOOD}deploy: {deploy}\n")
    return load_study_file(path).deploy


def space(*precisions):
    return SimpleNamespace(backends=[SimpleNamespace(name="one", precisions=precisions or (Precision.FP32,))])


def axes(tmp_path, deploy, most=0):
    return DeployAxes(deploy=read(tmp_path, deploy), profile=None, most_threads=most)


def names(found):
    return {axis.name: axis.values for axis in found}


def test_single_values_mean_what_they_always_did(tmp_path):
    found = read(tmp_path, "{batch: 2, threads: 4}")
    assert (found.setting, found.tries) == (Setting(threads=4, batch=2), False)
    assert axes(tmp_path, "{batch: 2}").most(space()) == 0


def test_the_first_is_searched_at_and_the_rest_is_tried(tmp_path):
    found = axes(tmp_path, "{threads: [2, 1, 8], batch: [4, 1]}", most=4)
    assert found.deploy.setting == Setting(threads=2, batch=4)
    assert names(found.of("one", Precision.FP32, FIRST)) == {"threads": ("1",), "batch": ("1",)}
    assert found.left_out == ("threads 8: the device has 4 threads for a model",)
    assert found.most(space()) == 2


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ("search", {"pace": ("run", "off"), "opset": ("17",)}),
        ("[pace]", {"pace": ("run", "off")}),
        ("pace", {"pace": ("run", "off")}),
        ("{pace: run}", {"pace": ("run",)}),
        ("{pace: [run, walk], opset: 17}", {"pace": ("run",), "opset": ("17",)}),
        ("{pace: false}", {"pace": ("off",)}),
        ("{pace: off, opset: }", {"pace": ("off",), "opset": ("17",)}),
        ("{opset: given}", {}),
    ],
)
def test_options_are_named_with_or_without_values(tmp_path, options, wanted):
    found = axes(tmp_path, f"{{options: {options}}}")
    check_options(found.deploy, None, space())
    assert names(found.of("one", Precision.FP32, FIRST)) == wanted


def test_an_option_knows_what_it_takes_to_change_it(tmp_path):
    found = {axis.name: axis for axis in axes(tmp_path, "{options: search}").of("one", Precision.FP32, FIRST)}
    assert (found["opset"].compiled, found["opset"].exact) == (True, False)
    assert found["opset"].set_in(FIRST, "17") == Setting(threads=1, batch=1, compiled_with=(("opset", "17"),))
    told = found["pace"].set_in(FIRST, "run")
    assert told.options == (("pace", "run"),)
    assert found["pace"].set_in(told, "walk") == FIRST


def test_what_has_a_meaning_for_several_threads_alone_may_be_asked_for_where_these_are_tried(tmp_path):
    found = axes(tmp_path, "{threads: [1, 2], options: [spinning]}", most=2)
    check_options(found.deploy, None, space())
    assert names(found.of("one", Precision.FP32, FIRST)) == {"threads": ("2",)}
    assert names(found.of("one", Precision.FP32, Setting(threads=2, batch=1))) == {
        "threads": ("2",),
        "spinning": ("on",),
    }


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("[spining]", "no runtime"),
        ("[spinning]", "no runtime"),
        ("{pace: sprint}", "has no value 'sprint'"),
        ("{pace: [run, sprint]}", "has no value 'sprint'"),
    ],
)
def test_what_no_runtime_offers_is_refused_with_what_there_is(tmp_path, options, told):
    with pytest.raises(UserError, match=told) as error:
        check_options(read(tmp_path, f"{{options: {options}}}"), None, space())
    assert "run" in error.value.accepted
    assert error.value.place.startswith("deploy.options.")


@pytest.mark.parametrize(
    "deploy",
    [
        "{threads: [1, 1]}",
        "{threads: []}",
        "{batch: [1, 0]}",
        "{threads: [1, 2.5]}",
        "{options: []}",
        "{options: [pace, pace]}",
        "{options: {pace: {a: 1}}}",
        "{options: 5}",
        "{options: [[pace]]}",
        "{options: {search: fast}}",
        "{options: {pace: []}}",
        "{options: ''}",
        "{options: {pace: 1.5}}",
        "{threads: [1, all]}",
        "{batchs: [1, 2]}",
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(tmp_path, deploy):
    with pytest.raises(UserError) as error:
        read(tmp_path, deploy)
    assert "study.yaml" in str(error.value.place)
