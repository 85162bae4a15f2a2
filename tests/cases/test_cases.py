"""Situations that once went wrong, each in a study of its own, through the command, from file to verdict."""

import json
import sys

import numpy as np
import pytest
import yaml
from cases import onnx_workloads, torch_workloads
from paretune.cli import main
from paretune.search.record.samples import difference
from paretune.search.run.stored import open_run

pytestmark = pytest.mark.slow

ORT = {"backend": ["ort"], "precision": ["fp32", "int8"], "calibration": {"samples": [48]}}
LITERT = {**ORT, "backend": ["tflite"]}
CUT = {"backend": ["ort"], "precision": ["fp32"], "student": {"macs": [0.5]}}


class Ended:
    """What a study has left: exit code, what it printed, and its record as JSON."""

    def __init__(self, code, out, err, run_dir):
        self.code, self.out, self.err, self.run_dir = code, out, err, run_dir
        report = run_dir / "report" / "report.json"
        told = json.loads(report.read_text()) if report.is_file() else {"record": {"trials": []}}
        self.record = told["record"]

    def evaluations(self, **wanted):
        """Those of candidates with these properties."""
        found = [trial["evaluation"] for trial in self.record["trials"]]
        return [e for e in found if all(e["candidate"][name] == value for name, value in wanted.items())]

    def quality(self, **wanted):
        """Of the first complete evaluation among them."""
        complete = [e for e in self.evaluations(**wanted) if e["outcome"] == "complete"]
        assert complete, [(e["outcome"], e["reason"], e["cause"]) for e in self.evaluations(**wanted)]
        return complete[0]["metrics"][self.record["quality"]]["value"]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a study of a workload of ours; `onnx` makes its model file first."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def run(workload, space, trials=2, onnx=False, **more):
        if onnx:
            made = f"from cases import onnx_workloads\nworkload = onnx_workloads.{workload}('model.onnx')\n"
            monkeypatch.chdir(tmp_path)
        else:
            made = f"from cases.torch_workloads import {workload} as workload\n"
        (tmp_path / "work.py").write_text(made)
        plain = {
            "name": "case",
            "workload": "work.py",
            "space": space,
            "training": {"epochs": 2, "finetune_epochs": 1, "threads": 1},
            "budget": {"trials": trials},
            "measure": {"rounds": 9, "finalist_rounds": 9, "processes": 1},
            "finalists": 1,
            **more,
        }
        (tmp_path / "study.yaml").write_text(yaml.safe_dump(plain))
        monkeypatch.setattr(sys, "argv", ["paretune", "run", str(tmp_path / "study.yaml")])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return Ended(ended.value.code, told.out, told.err, tmp_path / "runs" / "case")

    return run


# -- models of PyTorch ---------------------------------------------------------------------------------


def test_channels_that_a_pixel_shuffle_divides_are_cut_and_a_loss_is_told_pair_by_pair(run):
    ended = run("pixel_shuffle", CUT, training={"epochs": 1, "threads": 1, "learning_rate": 1e-5})
    assert ended.code == 0, ended.err
    record = open_run(ended.run_dir)[0]
    found = {bool(t.evaluation.candidate.student): t.evaluation.metrics["psnr"] for t in record.trials}
    loss = difference(found[True], found[False])
    apart = found[False].high - found[False].low
    assert loss.high < 0, "the same samples say that it is worse"
    assert loss.high - loss.low < apart, "more surely than two intervals do"


def test_a_decoder_with_a_view_and_transposed_convolutions_is_quantized(run):
    ended = run("decoder", LITERT)
    assert ended.code == 0, ended.err
    assert ended.quality(precision="int8") < 1.3 * ended.quality(precision="fp32")


def test_channels_with_hardly_any_weight_keep_their_offsets_in_int8(run):
    ended = run("dead_channels", LITERT)
    assert ended.code == 0, ended.err
    assert ended.quality(precision="int8") > ended.quality(precision="fp32") - 0.05


def test_a_net_that_shuffles_its_channels_is_cut_where_it_can_be(run):
    ended = run("shuffle", {**CUT, "student": {"macs": [0.6]}})
    assert ended.code == 0, ended.err
    ended.quality(student=[["macs", 0.6]])


def test_weight_norm_is_cut_or_the_way_out_is_told(run):
    ended = run("weight_norm", CUT)
    assert ended.code == 0, ended.err
    masked = " ".join(row["reason"] for row in ended.record["masked"])
    assert ended.evaluations(student=[["macs", 0.5]]) or "remove_weight_norm" in masked


def test_weight_norm_by_parametrization_is_quantized(run):
    ended = run("new_weight_norm", ORT)
    assert ended.code == 0, ended.err
    assert ended.quality(precision="int8") > 0.6


@pytest.mark.alone
def test_a_time_that_ends_while_a_candidate_is_measured_leaves_the_finalists(run):
    space = {"backend": ["ort"], "precision": ["fp32"], "student": {"width": [8, 16]}}
    ended = run("slow", space, budget={"time": torch_workloads.SLOW_S})
    assert ended.code == 0, ended.err
    (finalist,) = [f for f in ended.record["finalists"] if f["number"] == 0]
    assert "test samples" in finalist["metrics"]["accuracy"]["how"]


def test_arrays_of_another_byte_order_and_unsigned_labels_work(run):
    ended = run("big_endian", {**ORT, "precision": ["fp32"]}, trials=1)
    assert ended.code == 0, ended.err
    assert ended.quality() > 0.9


# -- models that exist only as ONNX ---------------------------------------------------------------------


def test_initializers_that_are_inputs_too(run):
    """On LiteRT as well, which reads no ONNX."""
    ended = run("initializers_as_inputs", {**ORT, "backend": ["ort", "tflite"]}, trials=4, onnx=True)
    assert ended.code == 0, ended.err
    exact = ended.quality(backend="ort", precision="fp32")
    assert ended.quality(backend="tflite", precision="fp32") == exact
    for backend in ("ort", "tflite"):
        assert ended.quality(backend=backend, precision="int8") > exact - 0.05


def test_a_free_sequence_length_is_taken_from_the_data_and_that_is_said(run):
    ended = run("free_sequence", {**ORT, "precision": ["fp32"]}, trials=1, onnx=True)
    assert ended.code == 0, ended.err
    assert ended.quality() > 0.9
    assert str(onnx_workloads.TOKENS) in ended.err


@pytest.mark.parametrize("kind", ["trees", "trees_of_both_domains"])
def test_a_tree_whose_first_output_is_the_label_is_scored_right(run, tmp_path, kind):
    ended = run(kind, {"backend": ["ort"]}, trials=1, onnx=True)
    assert ended.code == 0, ended.err
    splits = getattr(onnx_workloads, kind)(tmp_path / "other.onnx").splits()
    assert ended.quality() == pytest.approx(onnx_workloads.true_accuracy(splits))
    assert 0.8 < ended.quality() < 1


def test_a_model_that_is_float16_already_is_named_so(run):
    ended = run("half_handed_in", {**ORT, "precision": ["fp32", "fp16"]}, onnx=True)
    assert ended.code == 0, ended.err
    assert ended.quality(precision="fp16") > 0.8
    assert "float16" in ended.err


def test_a_model_that_is_quantized_already_is_measured_as_it_is(run):
    ended = run("already_quantized", {"backend": ["ort"]}, trials=3, onnx=True)
    assert ended.code == 0, ended.err
    complete = [e for e in ended.evaluations() if e["outcome"] == "complete"]
    assert {e["candidate"]["precision"] for e in complete} == {"as-given"}
    assert ended.quality() > 0.9
    assert any(row["what"] == "int8" and "quantized" in row["reason"] for row in ended.record["masked"])


def test_no_case_trains_on_what_it_is_tested_with():
    splits = torch_workloads.drawn(torch_workloads.signals)()
    assert not np.array_equal(splits.validation.inputs["x"], splits.test.inputs["x"])
