"""The toy backend that stops at chosen moments on the board until the test has done its deed there.

`board.striking:Striking` in a study file. `STRIKES` names a folder; a file `int8-run` in it, made before,
stops the first run of an int8 model: it becomes `int8-run.struck`, and the work goes on when `int8-run.go` is
there.
"""

import contextlib
import os
import time
from pathlib import Path

from paretune.backends.contract import of_batch
from paretune_toy import ToyBackend, ToySession

BACKEND = "board.striking:Striking"
_LONGEST_S = 120


def strike(moment: str) -> None:
    """Stops here where the moment is armed; each is struck once."""
    armed = Path(os.environ.get("STRIKES", "/nowhere"), moment)
    with contextlib.suppress(FileNotFoundError):
        armed.rename(f"{armed}.struck")
        end = time.monotonic() + _LONGEST_S
        while not Path(f"{armed}.go").exists() and time.monotonic() < end:
            time.sleep(0.01)


class Striking(ToyBackend):
    def open(self, artifact, batch, threads):
        return of_batch(StrikingSession(artifact), batch)


class StrikingSession(ToySession):
    def __init__(self, artifact):
        super().__init__(artifact)
        strike(f"{self.precision}-open")

    def _run(self, feed):
        strike(f"{self.precision}-run")
        return super()._run(feed)


class Strikes:
    """The test's side: moments are armed, reached, and let go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def arm(self, *moments: str) -> None:
        """The next time that one of these comes, it stops."""
        for moment in moments:
            (self.folder / moment).touch()

    @contextlib.contextmanager
    def at(self, moment: str, seconds: float = 60):
        """Inside it the board stands at the moment; behind it the work goes on, if it still lives."""
        end = time.monotonic() + seconds
        while not (self.folder / f"{moment}.struck").exists():
            assert time.monotonic() < end, f"{moment} did not come in {seconds} s"
            time.sleep(0.01)
        yield
        (self.folder / f"{moment}.go").touch()
