"""A runtime that ends its process when it opens an artifact."""

import os

from paretune_toy import ToyBackend


class Crashing(ToyBackend):
    """The toy, broken."""

    name = "crashing"

    def open(self, artifact, batch, threads, options=None):
        os.abort()
