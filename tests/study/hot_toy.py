"""The toy backend on a simulated device that gets hot: the smallest models slow down when they have been at
work for long, others do not."""

from paretune_toy import ToyBackend, ToySession

HOT = 150
"""So often a session is asked for its time before it is hot: more often than in a measurement."""


class HotSession(ToySession):
    def __init__(self, artifact):
        self.asked, self.takes = 0, 0
        super().__init__(artifact)

    @property
    def simulated_ns(self):
        self.asked += 1
        return self.takes * (3 if self.asked > HOT and self.takes < 20_500 else 1)

    @simulated_ns.setter
    def simulated_ns(self, value):
        self.takes = value


class HotToy(ToyBackend):
    name = "hot-toy"

    def open(self, artifact, batch, threads):
        from paretune.backends import contract

        return contract.of_batch(HotSession(artifact), batch)
