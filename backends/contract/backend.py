"""What a backend is: how one runtime compiles a model, opens it and runs it once.

This module and every adapter need numpy and their own runtime alone: the runner process imports them on the
device. An adapter never looks at a clock: only the harness measures (see `latency.py`).
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np

from ...profiles.errors import UnsupportedError
from ...profiles.precision import Precision
from .options import USUAL, Options, RuntimeOption
from .session import Array as Array  # words of the contract too, as those below are
from .session import Feed as Feed
from .session import Session as Session
from .tuning import Tuning
from .values import Artifact as Artifact
from .values import Availability as Availability
from .values import CompileSettings as CompileSettings
from .values import LayerGroup as LayerGroup
from .values import Maker as Maker
from .values import SourceModel as SourceModel
from .values import TensorSpec as TensorSpec

if TYPE_CHECKING:
    from ...profiles.devices.schema import Profile
    from .given import GivenFile

ONNX = "onnx"
"""The source format that Paretune exports itself."""
CalibrationMethod = Literal["minmax", "percentile", "entropy"]
CALIBRATION_METHODS: tuple[str, ...] = get_args(CalibrationMethod)
WEIGHT_LEVELS: Mapping[int, int] = {4: 7, 8: 64}
"""The coarsest 8-bit grid in use keeps to 64, so that sums of two products fit into 16 bits; a finer one then
rounds by at most 1/254 of the largest weight, and one training serves both."""


CalibrationData = Mapping[str, Array]
"""Input name to array of samples (axis 0); dtypes are those of the source model."""


class Backend(ABC):
    """One runtime. Instances are cheap, hold no state and import the runtime only inside methods.

    `name` is the word users write, `title` what the runtime is called. `packages` are the distributions that
    the runtime comes in, any one of which is enough: their versions are noted with every measurement, and a
    bundle asks for the one that compiled it. `shaped_by` are distributions beside them whose versions change
    the bytes of artifacts, and so stand in content keys, as do `recipes`: how often our own way of making a
    precision has changed since it was first offered. `install` is the command that installs it.

    `on_device` are the distributions that a board needs beside numpy to run artifacts, fetched with all that
    they need; what comes with the board's own system is not among them. `device_files` are, of some of them,
    shell patterns of the files that running needs, where that is a small part.

    `source_format` is the format of `SourceModel` that `compile` reads; "onnx" is exported by Paretune, for
    any other one see `export`. `source_title` is what messages call the format, `exporters` are the
    distributions that shape such files, and `fixed_batch` says that they hold one batch alone.

    `calibration_methods` are those of `CALIBRATION_METHODS` that this runtime really tells apart.
    `weight_levels` maps bits to the largest whole number that stands for a weight on the grid that the
    runtime's own quantizer finds; quantization-aware training rounds to it.
    `as_given`: it runs files of its source format that were handed in quantized already, as they are.
    `magic` is where in a file of a format of its own stands what, (4, b"TFL3"): so users' files are known
    that are handed in in place of a teacher (see `given`). `(0, b"")`: it takes none.
    `compiles_on_device`: artifacts belong to the device that compiled them; all others are compiled here.
    `value_dependent` maps a kind of sparsity (dense, channel, unstructured, 2:4) whose kernels are chosen by
    the values of the weights to the reason, because untrained weights then do not tell the latency of
    trained ones.
    `tunable`: it is slow until `tune` has searched for schedules, so it is offered with a tuning budget only.

    Two files stand beside the module of the class: `rules.yaml` says what is offered on which device (see
    `rules.py`), and `run.py.in` is the part of a bundle's script that loads and runs an artifact: a class
    `Model(artifact, batch, threads)` with `inputs` (name to dtype and shape) and `run(feed)`; of a backend
    with options it also takes those that were chosen, a dictionary. Without `rules.yaml`, `precisions` must
    say it; without `run.py.in` there are no bundles.

    **A backend of your own** is a subclass in any installed package, named in the entry point group
    `paretune.backends` (`mine = "my_package.backend:MyBackend"`), or written `module:Class` in a study file.
    It must provide `name`, `title`, `packages`, `install`, `availability`, `open`, `compile` (or `convert`,
    deriving from `compiling.Compiler`, which does the rest), and the two files. The module is imported on the
    device too, so it may import numpy, this package and, inside methods, its runtime.
    """

    name: ClassVar[str]
    title: ClassVar[str] = ""
    packages: ClassVar[tuple[str, ...]] = ()
    shaped_by: ClassVar[tuple[str, ...]] = ()
    recipes: ClassVar[Mapping[Precision, int]] = {}
    install: ClassVar[str] = ""
    on_device: ClassVar[tuple[str, ...]] = ()
    device_files: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    source_format: ClassVar[str] = ONNX
    source_title: ClassVar[str] = "ONNX"
    exporters: ClassVar[tuple[str, ...]] = ("torch", "onnx", "onnxscript")
    magic: ClassVar[tuple[int, bytes]] = (0, b"")
    fixed_batch: ClassVar[bool] = False
    calibration_methods: ClassVar[tuple[str, ...]] = ("minmax",)
    weight_levels: ClassVar[Mapping[int, int]] = WEIGHT_LEVELS
    as_given: ClassVar[bool] = False
    compiles_on_device: ClassVar[bool] = False
    value_dependent: ClassVar[Mapping[str, str]] = {}
    tunable: ClassVar[bool] = False

    @abstractmethod
    def availability(self) -> Availability:
        """Whether this runtime can be used in this interpreter. Never raises."""

    def precisions(self, profile: Profile) -> tuple[Precision, ...] | None:
        """What this runtime can compile for the device; None where `rules.yaml` says it."""
        return None

    def target(self, profile: Profile) -> str:
        """What artifacts for the device are compiled for (`CompileSettings.target`), by its profile alone; ""
        where they run on any processor, or the device itself compiles them."""
        return ""

    def runs_here(self, target: str) -> bool:
        """Whether this machine runs what is compiled for `target`; if not, it is opened on the device."""
        return True

    def beside(self, name: str) -> Path | None:
        """The file of that name beside the class's module, or beside that of the class it derives from."""
        for one in type(self).__mro__:
            module = getattr(sys.modules.get(one.__module__), "__file__", None)
            if module and Path(module).with_name(name).is_file():
                return Path(module).with_name(name)
        return None

    def export(self, module: Any, feed: Feed, path: Path) -> dict[str, Array]:
        """Write a PyTorch module to `path` in `source_format`, and give the outputs of that file for `feed`.

        The module takes the inputs by name, in the shapes of `feed`, and returns one tensor by name. Any
        exception is taken for an operator that the format does not have.
        """
        raise UnsupportedError(f"{self.name} has no exporter to {self.source_format}")

    def export_traced(self, module: Any, feed: Feed, path: Path) -> tuple[dict[str, Array], Any]:
        """As `export`, and what `export_again` can be given; None: nothing."""
        return self.export(module, feed, path), None

    def export_again(
        self, trace: Any, weights: Mapping[str, Any], feed: Feed, path: Path
    ) -> dict[str, Array]:
        """Write what `export` would write of the traced module with other weights, byte by byte: `weights`
        are its parameters and buffers (tensors of PyTorch) by every name that they have. Any exception is
        taken for a module that has to be exported as a new one."""
        raise UnsupportedError(f"{self.name} keeps no traces")

    def given(self, path: Path) -> GivenFile:
        """What a user's file in `source_format` is.

        Raises:
            UnsupportedError: it is damaged, or has what no workload can have.
        """
        raise UnsupportedError(f"{self.title or self.name} takes no files of users")

    def as_source(self, path: Path, shapes: Mapping[str, Sequence[int]]) -> bytes:
        """A user's file for inputs of exactly these shapes, the batch first; as it is where it has them."""
        return path.read_bytes()

    def onnx_converter(self) -> Availability:
        """Whether this backend brings ONNX files to its own `source_format` here; `version` is that of what
        does it, and part of content keys."""
        return Availability(
            installed=False,
            reason=f"{self.name} converts from PyTorch, and this workload exists only as ONNX",
        )

    def from_onnx(self, onnx: Path, data: CalibrationData, batch: int, path: Path) -> dict[str, Array]:
        """Write the model of an ONNX file to `path` in `source_format`, for inputs of `batch` rows, and give
        the outputs of that file for all samples of `data`, by the names that they have in the ONNX file.

        Raises:
            UnsupportedError: an operator has no counterpart in the format; names it.
        """
        raise UnsupportedError(f"{self.name} makes no {self.source_format} of ONNX files")

    @abstractmethod
    def compile(
        self, model: SourceModel, settings: CompileSettings, calibration: CalibrationData | None, into: Path
    ) -> Artifact:
        """Compile `model` into one file inside the existing directory `into`.

        Deterministic: equal arguments give equal bytes where the runtime allows it.

        Raises:
            UnsupportedError: this runtime cannot express the model or the precision; or the result would
                be a silent no-op or is known to be wrong.
            ValueError: calibration data is missing where the precision needs it.
        """

    def float_session(self, model: SourceModel, settings: CompileSettings) -> Session | None:
        """The float model on this machine, for artifacts that run elsewhere; None where that cannot be."""
        return None

    def tune(
        self, model: SourceModel, settings: CompileSettings, tuning: Tuning, known: Sequence[Path], into: Path
    ) -> dict[str, Any]:
        """Search schedules for the structure of `model`, whose weights do not matter, on this machine.

        Writes what it found as files into the existing directory `into`, anew after every round. Where it is
        ended from outside, what stands there counts, and a later call for the seconds that are left goes on
        from it: trials that are told there are not made again. `known` are such folders of other structures:
        tasks that they share are not tuned again. Returns facts: tasks, tasks_known, trials, failed, seconds.
        """
        raise UnsupportedError(f"{self.title or self.name} has nothing to tune")

    def maker(self, precision: Precision) -> Maker | None:
        """Who makes the artifact's content at this precision, where other backends run the same one.

        It is then made once, by `make` of any of them, and each compiles from it: it checks and opens it.
        """
        return None

    def make(
        self, model: SourceModel, settings: CompileSettings, calibration: CalibrationData | None, into: Path
    ) -> Path:
        """Write what `compile` takes as `SourceModel.made`, one file inside the existing directory `into`.

        Equal for all backends of one `maker`. Raises what `compile` raises.
        """
        raise UnsupportedError(f"{self.title or self.name} makes nothing that others run")

    def layers(self, model: SourceModel, precision: Precision) -> tuple[LayerGroup, ...]:
        """Groups of layers that this precision would change and that can be kept in float one by one.

        Empty: the backend has no mixed precision for it. Reads the file alone, opens no session.
        """
        return ()

    def options(self, profile: Profile, precision: Precision, threads: int) -> tuple[RuntimeOption, ...]:
        """What this runtime can be told about a model at the precision that runs on the device with so many
        threads, beside what every other one is: only what the installed version takes and has an effect."""
        return ()

    @abstractmethod
    def open(self, artifact: Path, batch: int, threads: int, options: Options = USUAL) -> Session:
        """Load an artifact for inputs of the given batch size, with the given number of threads. `options`
        are values of `options` that are told at opening, those alone that differ from their defaults; a
        backend that has none is never given any, and need not take them.

        Inputs and outputs keep the dtypes of the source model (a float model quantized to int8 still takes
        and gives float32), so that artifacts can be swapped for one another.

        Raises:
            ValueError: the artifact was compiled for another batch.
            UnsupportedError: the runtime does not know an option, or takes another value of it.
        """


def batches(data: CalibrationData, batch: int) -> Iterator[dict[str, Array]]:
    """Split samples into feeds of exactly `batch` rows; the last one is filled up by repeating its end."""
    count = len(next(iter(data.values())))
    for start in range(0, count, batch):
        feed = {name: array[start : start + batch] for name, array in data.items()}
        missing = batch - len(next(iter(feed.values())))
        if missing:
            feed = {n: np.concatenate([a, np.repeat(a[-1:], missing, axis=0)]) for n, a in feed.items()}
        yield {name: np.ascontiguousarray(array) for name, array in feed.items()}


def all_outputs(session: Session, data: CalibrationData, batch: int) -> dict[str, Array]:
    """What a session for inputs of `batch` rows gives for all samples."""
    parts = [session.run(feed) for feed in batches(data, batch)]
    count = len(next(iter(data.values())))
    return {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}
