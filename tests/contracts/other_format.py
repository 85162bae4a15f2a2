"""Backends of their own that read a format which is not ONNX, and bring ONNX files to it: the same file under
another name."""

import onnx
from onnx.reference import ReferenceEvaluator
from paretune.backends import contract
from paretune.profiles.errors import UnsupportedError
from paretune.profiles.precision import Precision


class Faithful(contract.Backend):
    name, title, packages, install = "faithful", "Faithful", ("onnx",), "pip install onnx"
    source_format, source_title, exporters = "other", "Other", ("onnx",)

    def availability(self):
        return contract.Availability(installed=True, version="1")

    def precisions(self, profile):
        return (Precision.FP32,)

    def onnx_converter(self):
        return contract.Availability(installed=True, version=self.name)

    def from_onnx(self, onnx_file, data, batch, path):
        path.write_bytes(onnx_file.read_bytes())
        proto = onnx.load(path)
        return dict(
            zip([v.name for v in proto.graph.output], ReferenceEvaluator(proto).run(None, data), strict=True)
        )

    def compile(self, model, settings, calibration, into):
        raise UnsupportedError("it compiles nothing")

    def open(self, artifact, batch, threads):
        raise UnsupportedError("it runs nothing")


class Crooked(Faithful):
    """Its conversion succeeds and is wrong."""

    name, title = "crooked", "Crooked"

    def from_onnx(self, onnx_file, data, batch, path):
        return {name: 1.01 * a for name, a in super().from_onnx(onnx_file, data, batch, path).items()}


class Unable(Faithful):
    """It has not the operator."""

    name, title = "unable", "Unable"

    def from_onnx(self, onnx_file, data, batch, path):
        raise UnsupportedError("the operator Relu is not known")


class Absent(Faithful):
    """Its converter is not installed."""

    name, title = "absent", "Absent"

    def onnx_converter(self):
        return contract.Availability(installed=False, reason="no converter", install="pip install converter")
