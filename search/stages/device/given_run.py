"""A user's file in a backend's own format, run over samples by that backend in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ....backends.contract.given import GivenFile
from ....backends.runner.client import Guard, RunnerClient
from ....backends.runner.launch import LocalLaunch
from ....profiles.errors import StageError, UnsupportedError, UserError
from ...workload.workload import Array


class GivenRun:
    """Runs `path`, which `given` describes and whose inputs have all their sizes, on this machine."""

    def __init__(self, backend: str, path: Path, given: GivenFile, place: str) -> None:
        self._backend, self._path, self._given, self._place = backend, path, given, place

    def outputs(self, data: Mapping[str, Array], batch: int) -> dict[str, Array]:
        """All outputs by name as numbers, for samples along axis 0; that many rows are run at once.

        Raises:
            UserError: it does not open or run, or an output has not one row for each sample.
        """
        try:
            with RunnerClient(LocalLaunch(), guard=Guard()) as runner:
                runner.open(self._backend, self._path, batch, 1)
                found = runner.infer(self._given.fed(data))
        except UnsupportedError as error:
            raise UserError(
                f"the {self._given.title} model cannot be run",
                place=self._place,
                found=error.reason,
                remedy="convert it again, with the runtime's own operators alone",
            ) from error
        except StageError as error:
            raise UserError(
                f"the {self._given.title} model does not run on the data",
                place=self._place,
                found=error.cause,
                remedy="make model and splits fit each other, or convert it anew",
            ) from error
        rows = len(next(iter(data.values())))
        for name, array in found.items():
            if len(array) != rows:
                raise UserError(
                    "an output has no sample along axis 0",
                    place=self._place,
                    found=f"{name!r} of shape {list(array.shape)} for {rows} samples",
                    accepted=f"shape [{rows}, ...]",
                    remedy="convert the model so that each output has the batch as its first axis",
                )
        return self._given.read(found)
