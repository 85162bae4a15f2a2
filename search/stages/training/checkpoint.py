"""A training's checkpoint: all that the next epoch depends on, and what training has come to."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ....profiles.errors import UserError
from ....profiles.files import whole_file
from ..network.reproducible import random_state, set_random_state

FORMAT = 2  # 1 had no learning curve
_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class History:
    """What a training has come to: mean loss by epoch, and its learning curve as (epochs done, quality).

    `earlier_seconds` were spent on it before it was taken up again. `best_epoch` is that of the weights that
    are kept, where training may stop early. `ended`: the model has the weights that are kept.
    """

    losses: list[float] = field(default_factory=list)
    curve: list[tuple[int, float]] = field(default_factory=list)
    earlier_seconds: float = 0.0
    best_epoch: int | None = None
    ended: bool = False

    @property
    def epochs(self) -> int:
        """Epochs done."""
        return len(self.losses)

    @property
    def at_milestone(self) -> bool:
        """Whether the quality was taken after the last epoch that was done."""
        return bool(self.curve) and self.curve[-1][0] == self.epochs


def save_checkpoint(path: Path, parts: Mapping[str, Any], history: History, seconds: float) -> None:
    """Write it whole or not at all. `parts` have a `state_dict`; `seconds` were spent since it was loaded."""
    state = {
        "format": FORMAT,
        "parts": {name: part.state_dict() for name, part in parts.items()},
        "random": random_state(),
        "losses": history.losses,
        "curve": history.curve,
        "seconds": history.earlier_seconds + seconds,
    }
    path.parent.mkdir(exist_ok=True)  # another machine was faster, and no lock kept the two apart
    with whole_file(path) as file:
        torch.save(state, file)


def load_checkpoint(path: Path, parts: Mapping[str, Any]) -> History | None:
    """Put everything back as it was saved. None, and nothing changed, if it is not there or not readable.

    Raises:
        UserError: it can be read, and is that of another model.
    """
    if not path.is_file():
        return None
    try:
        state = torch.load(path, weights_only=True)
        if state.get("format") != FORMAT:
            raise ValueError(f"format {state.get('format', 1)} of another version, this one reads {FORMAT}")
        curve = [(int(epoch), float(quality)) for epoch, quality in state["curve"]]
        history = History(losses=state["losses"], curve=curve, earlier_seconds=state["seconds"])
    except Exception as error:
        _log.warning("checkpoint %s cannot be read (%s), training starts anew", path, error)
        return None
    try:
        for name, part in parts.items():
            part.load_state_dict(state["parts"][name])
        set_random_state(state["random"])
    except Exception as error:  # some parts may have been put back, so that nothing can go on from here
        raise UserError(
            "a checkpoint is not that of this training",
            place=str(path),
            found=f"{type(error).__name__}: {str(error).partition(chr(10))[0]}",
            remedy="remove it (and, in an object store, its copy below work/) and run again: the training "
            "starts anew",
        ) from error
    return history
