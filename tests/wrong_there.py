"""The toy backend with a runtime that computes wrongly where `PARETUNE_WRONG` says how: "int8 noise" spoils
int8 artifacts by noise, "int8 slightly" by less, "fp32 swap" turns the order of values round, "int8 nan"
makes one of them no number."""

import os

import numpy as np
from paretune.backends import contract
from paretune_toy import ToyBackend, ToySession

NAME = "wrong_there:WrongThere"


class WrongThere(ToyBackend):
    name, title = "wrong-there", "Wrong there"
    artifact_name = "model.wrong"

    def availability(self):
        return contract.Availability(installed=True, version="1")

    def open(self, artifact, batch, threads):
        return contract.of_batch(WrongSession(artifact), batch)


class WrongSession(ToySession):
    def _run(self, feed):
        found = super()._run(feed)
        precision, _, how = os.environ.get("PARETUNE_WRONG", "").partition(" ")
        if precision != str(self.precision):
            return found
        return {name: spoiled(array, how) for name, array in found.items()}


def spoiled(array, how):
    if how == "noise":
        return array + 0.3 * np.abs(array).max() * np.sin(1e4 * array)
    if how == "slightly":
        return array + 0.15 * np.sin(1e4 * array)
    if how == "swap":
        return array[..., ::-1].copy()
    wrong = array.copy()
    wrong.flat[0] = np.nan
    return wrong
