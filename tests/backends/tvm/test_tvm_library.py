"""For which processor a library is made, that others refuse it, and that TVM's runtime is enough for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from paretune.backends.contract.backend import CompileSettings
from paretune.backends.registry import get_backend, offered_precisions
from paretune.backends.tvm import build, link
from paretune.backends.tvm.library_file import LibraryManifest, packed, read_manifest
from paretune.backends.tvm.processor import Processor, features, named_core, of_target, this_one
from paretune.backends.tvm.session import TvmSession, aligned
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.errors import UnsupportedError, UserError
from paretune.profiles.precision import Precision

from .conftest import WIDTH, written

SETTINGS = CompileSettings(precision=Precision.FP32)
DATA = {"x": np.random.default_rng(1).normal(size=(4, WIDTH)).astype(np.float32)}
CORES = ("generic", "cortex-a72", "cortex-a76", "cortex-a78", "cortex-a78ae", "cortex-x3", "znver3", "atom")
PI = "raspberry-pi-5"
TESTS = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("model", "core"),
    [
        ("Broadcom BCM2712, Arm Cortex-A76", "cortex-a76"),
        ("Arm Cortex-A78AE", "cortex-a78ae"),
        ("AMD EPYC 7543 (Zen 3)", "znver3"),
        ("Google Tensor G3 (1x Cortex-X3 at 2.91 GHz, 4x Cortex-A78 at 2.37 GHz)", ""),
        ("Intel Atom of some kind", ""),
        ("Cortex-A760", ""),
        ("", ""),
    ],
)
def test_a_core_is_named_where_the_model_names_one(model, core):
    assert named_core(model, CORES) == core


_IDLE = """
import ctypes, sys
from pathlib import Path
from paretune.backends.registry import get_backend
from paretune.backends.tvm.session import runtime_library
from threads_at_rest import sleep_at_once, threads
with get_backend("tvm").open(Path(sys.argv[1]), 2, 2, {"spinning": sys.argv[2]}):
    work = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(lambda *_: 0)
    launch, before = ctypes.CDLL(str(runtime_library())).TVMBackendParallelLaunch, threads()
    launch(work, None, 2)
    print(sleep_at_once(threads() - before, lambda: launch(work, None, 2)))
"""


@pytest.mark.slow
def test_threads_that_do_not_spin_spend_nothing_between_runs(model, folder):
    """TVM reads it once in a process."""
    settings = replace(SETTINGS, batch=2, check=False)
    path = get_backend("tvm").compile(model, settings, None, folder("out")).path
    command, here = [sys.executable, "-c", _IDLE, str(path)], {**os.environ, "PYTHONPATH": str(TESTS)}
    told = [
        subprocess.run([*command, how], capture_output=True, check=True, text=True, env=here).stdout
        for how in ("on", "off")
    ]
    assert told == ["False\n", "True\n"]


def test_instruction_sets_are_all_said_those_that_are_off_first():
    found = features("x86-64", ("avx2", "avx512_vnni"))
    assert found[-2:] == ["+avx2", "+avx512vnni"]
    assert {"-avx512f", "-amx-tile", "-sse4.1"} <= set(found)
    assert "+neon" in features("aarch64", ())


def test_the_target_of_a_profile_is_text_that_is_read_back():
    backend = get_backend("tvm")
    for name in (PI, "x86-avx2", "x86-avx512-vnni", "pixel-8"):
        profile = load_profile(name)
        found = of_target(backend.target(profile))
        assert found.instruction_sets == profile.instruction_sets
        assert (found.architecture, found.model) == (profile.architecture, profile.cpu.model)
    odd = Processor(architecture="aarch64", model="a | b", instruction_sets=())
    assert of_target(odd.text) == odd
    assert of_target("") == this_one()
    assert backend.runs_here("")
    assert backend.target(load_profile("nvidia-t4")) == ""


def test_half_precision_is_offered_where_the_processor_computes_it():
    assert offered_precisions("tvm", load_profile(PI)) == (Precision.FP32, Precision.FP16)
    assert offered_precisions("tvm", load_profile("raspberry-pi-4")) == (Precision.FP32,)
    assert offered_precisions("tvm", load_profile("nvidia-t4")) == ()


def foreign() -> Processor:
    """A processor that this machine is not."""
    return of_target(
        get_backend("tvm").target(load_profile(PI if "x86" in this_one().architecture else "x86-avx2"))
    )


def test_code_for_another_architecture_is_made_and_refused_here(model, folder, monkeypatch):
    """The object is taken for the library: no linker for the other processor is needed."""
    monkeypatch.setattr(
        build, "link", lambda objects, library, _: library.write_bytes(objects[0].read_bytes())
    )
    backend, target = get_backend("tvm"), foreign()
    assert not backend.runs_here(target.text)
    for precision in (Precision.FP32, *([Precision.FP16] if "asimdhp" in target.instruction_sets else [])):
        settings = CompileSettings(precision=precision, batch=2, target=target.text)
        # What is linked from these objects for this machine cannot be loaded, so it is not compared here.
        made = backend.compile(model, replace(settings, check=False), DATA, folder(f"made-{precision}"))
        head = made.path.read_bytes()[:20]
        machine = int.from_bytes(head[18:20], "little")
        assert (head[:4], machine) == (b"\x7fELF", {"aarch64": 183, "x86-64": 62}[target.architecture])
        assert made.weight_bytes == {
            precision.value.replace("fp", "float"): (WIDTH + 1) * WIDTH * made_bytes(precision)
        }
        assert read_manifest(made.path).processor == target
        with pytest.raises(UserError, match=f"compiled for another processor(?s:.*){target.architecture}"):
            backend.open(made.path, 2, 1)
    with pytest.raises(UnsupportedError, match="tuned by measuring"):
        backend.tune(model, settings, None, (), folder("tuned"))


def made_bytes(precision: Precision) -> int:
    return precision.decoded.weight_bits // 8


def test_what_is_made_for_another_processor_is_compared_as_built_for_this_one(model, folder, monkeypatch):
    here = this_one()
    less = replace(here, instruction_sets=here.instruction_sets[:2])
    monkeypatch.setattr(type(get_backend("tvm")), "runs_here", lambda self, target: not target)
    made = get_backend("tvm").compile(model, replace(SETTINGS, target=less.text), DATA, folder("made"))
    assert "compared with the float model as built for this machine, untuned" in made.notes


def test_a_missing_linker_is_named_with_its_package(monkeypatch):
    monkeypatch.setattr(link.shutil, "which", lambda name: None)
    for architecture, package in (("aarch64", "binutils-aarch64-linux-gnu"), ("x86-64", "binutils")):
        with pytest.raises(UnsupportedError, match=rf"apt-get install {package}"):
            link.linker_for(architecture)


def test_an_output_whose_size_depends_on_the_data_is_refused_by_its_name(tmp_path, folder):
    nodes = [
        helper.make_node("NonZero", ["x"], ["places"]),
        helper.make_node("Cast", ["places"], ["y"], to=1),
    ]
    model = written(tmp_path / "m.onnx", nodes, {}, ("y",))
    with pytest.raises(UnsupportedError, match=r"NonZero|output 'y'"):
        get_backend("tvm").compile(model, SETTINGS, DATA, folder("made"))


def test_an_operator_that_is_not_there_is_named(tmp_path, folder):
    model = written(tmp_path / "m.onnx", [helper.make_node("MelWeightMatrix", ["x"] * 5, ["y"])], {}, ("y",))
    with pytest.raises(UnsupportedError, match="MelWeightMatrix"):
        get_backend("tvm").compile(model, SETTINGS, DATA, folder("made"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PARETUNE-TVM-1\n",
        b"\x7fELF" + b"\xff" * 8 + b"PARETUNE-TVM-1\n",
        b"[]" + (2).to_bytes(8, "little") + b"PARETUNE-TVM-1\n",
    ],
)
def test_a_file_that_is_no_library_of_ours_is_not_loaded(tmp_path, content):
    (tmp_path / "model.so").write_bytes(content)
    with pytest.raises(UserError, match="not a library that this backend compiled"):
        TvmSession(tmp_path / "model.so", 1)


def test_memory_is_aligned_and_the_manifest_reads_back(tmp_path):
    assert all(aligned((n,), "float32").ctypes.data % 128 == 0 for n in range(1, 20))
    made = LibraryManifest(inputs=(), outputs=(), batch=1, processor=this_one(), core="c", tuned=True)
    (tmp_path / "f").write_bytes(packed(b"library", made))
    assert read_manifest(tmp_path / "f") == made


RUN = """
import sys, json
sys.path[:] = [entry for entry in sys.path if "site-packages" not in entry] + [sys.argv[1]]
from pathlib import Path
import numpy as np
exec(compile(Path(sys.argv[2]).read_text(), "run.py.in", "exec"))
model = Model(Path(sys.argv[3]), 4, 1)
found = model.run(dict(np.load(sys.argv[4])))
np.savez(sys.argv[5], **found)
print(json.dumps([m for m in ("tvm", "onnx", "paretune") if sys.modules.get(m)]))
"""


def test_a_bundle_runs_without_the_compiler_and_without_the_package(model, folder, tmp_path):
    """On a device, of apache-tvm one library is enough."""
    backend = get_backend("tvm")
    made = backend.compile(model, replace(SETTINGS, batch=4), DATA, folder("made"))
    site, tvm = folder("site"), Path(find_spec("tvm").origin).parent
    (site / "tvm" / "lib").mkdir(parents=True)
    (site / "tvm" / "__init__.py").write_text("raise ImportError('not to be imported')")
    (site / "tvm" / "lib" / "libtvm_runtime.so").symlink_to(tvm / "lib" / "libtvm_runtime.so")
    for name in ("numpy", "numpy.libs", "tvm_ffi", "typing_extensions.py"):
        for parent in map(Path, sys.path):
            if (parent / name).exists() and not (site / name).exists():
                (site / name).symlink_to(parent / name)
    np.savez(tmp_path / "in.npz", **DATA)
    script = backend.beside("run.py.in")
    paths = [site, script, made.path, tmp_path / "in.npz", tmp_path / "out.npz"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == []
    with backend.open(made.path, 4, 1) as session:
        np.testing.assert_array_equal(np.load(tmp_path / "out.npz")["output"], session.run(DATA)["output"])


LOAD = """
import sys
from pathlib import Path
from paretune.backends.tvm.session import load_runtime
load_runtime()
assert "torch" not in sys.modules
import tvm_ffi
print(tvm_ffi.from_dlpack is not None, "torch" in sys.modules)
"""


def test_loading_the_runtime_leaves_torch_alone():
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("True False\n", 0), done.stderr
