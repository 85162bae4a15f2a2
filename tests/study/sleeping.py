"""The toy backend on a device that is slow by a factor, `TOY_SLOW`: `study.sleeping:Sleeping`."""

import os
import time

from paretune.backends.contract import of_batch
from paretune_toy import ToyBackend, ToySession

BACKEND = "study.sleeping:Sleeping"


class Sleeping(ToyBackend):
    def open(self, artifact, batch, threads):
        return of_batch(SleepingSession(artifact), batch)


class SleepingSession(ToySession):
    """Each run really takes what the toy's takes by its formula, times the factor."""

    def __init__(self, artifact):
        super().__init__(artifact)
        self.seconds = self.simulated_ns * float(os.environ["TOY_SLOW"]) / 1e9
        self.simulated_ns = None

    def _run(self, feed):
        until = time.perf_counter() + self.seconds
        found = super()._run(feed)
        time.sleep(max(0.0, until - time.perf_counter()))
        return found
