"""Another Python environment without installing anything: this one's packages, and a toy runtime in its place
that pretends another version, computes otherwise, or takes longer."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

SHIM = """
import dataclasses, importlib.util, json, os, signal, time
from pathlib import Path
import numpy as np
_spec = importlib.util.spec_from_file_location("true_toy", {toy!r})
true_toy = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(true_toy)
from paretune.backends import contract
HOW = json.loads(Path(__file__).with_name("how.json").read_text())


class ToyBackend(true_toy.ToyBackend):
    def availability(self):
        if HOW.get("absent"):
            return contract.Availability(installed=False, reason="toy: No module named 'toy'")
        return contract.Availability(installed=True, version="2")

    def convert(self, model, settings, calibration):
        import onnx
        made = super().convert(model, settings, calibration)
        proto = onnx.load_from_string(made.content)
        proto.metadata_props.add(key="by", value="2")
        return dataclasses.replace(made, content=proto.SerializeToString())

    def open(self, artifact, batch, threads, options=None):
        pace = contract.chosen(options or {{}}, true_toy.PACE)["pace"]
        session = Session(artifact, pace)
        return contract.of_batch(session, batch)


class Session(true_toy.ToySession):
    def __init__(self, artifact, pace):
        import onnx
        super().__init__(artifact, pace)
        by = dict((prop.key, prop.value) for prop in onnx.load(artifact).metadata_props).get("by")
        self.how, self.pace, self.old = HOW.get(str(self.precision), ""), pace, by != "2"
        if self.how == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.how == "slow":
            self.simulated_ns *= 2

    def _run(self, feed):
        found = super()._run(feed)
        off = {{"swap": True, "swap old": self.old, "swap walking": self.pace == "walk"}}.get(self.how, False)
        return {{name: array[..., ::-1].copy() if off else array for name, array in found.items()}}
"""


def other_environment(folder: Path, **how: object) -> Path:
    """A virtual environment in the folder whose toy runtime behaves as is said of each precision: "slow",
    "crash", "swap" (its outputs the wrong way round), "swap old" (of what another version compiled), "swap
    walking" (at one value of an option)."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
    import paretune_toy

    shim, said = packages / "paretune_toy", packages / "paretune_toy-2.dist-info"
    shim.mkdir()
    said.mkdir()
    (shim / "__init__.py").write_text(SHIM.format(toy=paretune_toy.__file__))
    (shim / "how.json").write_text(json.dumps({name.replace("_", "-"): value for name, value in how.items()}))
    (said / "METADATA").write_text("Metadata-Version: 2.1\nName: paretune-toy\nVersion: 2\n")
    (said / "entry_points.txt").write_text("[paretune.backends]\ntoy = paretune_toy:ToyBackend\n")
    others = [path for path in sys.path if Path(path).is_dir() and Path(path).name.endswith("-packages")]
    (packages / "others.pth").write_text("\n".join(others))
    return folder
