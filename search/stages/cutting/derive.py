"""Students cut out of their teacher: fewer blocks, and channels down to a share of its multiply-adds.

What is cut follows from the teacher's architecture alone, so a student derived from an untrained teacher and
one derived from the trained teacher have the same shapes; which channels stay is decided by weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor, nn

from ....profiles.errors import UnsupportedError
from ..network.model_size import model_size
from ..network.plain import copied, plain_weights
from .depth import reduce_depth
from .prune import Cut, free_groups, named_layers, prunable_layers, prune_channels, telling_share

_STEPS = 9  # bisections of the share of channels: closer than channel counts can follow
_FAR = 1 / 3  # a student further off than this share of the request is refused
_CLOSE = 0.02
_REFINED = 0.1  # further off than this, groups of channels are treated apart


@dataclass(frozen=True, kw_only=True)
class Derivation:
    """How a student is cut out of its teacher: the share of blocks kept, the share of channels removed from
    the layers of `cut` (None: no channel goes), and the multiply-adds that are left of the teacher's."""

    depth: float
    channels: float
    cut: Cut | None
    macs: int
    teacher_macs: int

    def apply(self, teacher: nn.Module, sample: list[Tensor]) -> nn.Module:
        """Cut the teacher down in place, keeping the largest weights; returns it.

        Raises:
            UnsupportedError: it cannot be cut in this way.
        """
        plain_weights(teacher)
        if self.depth < 1:
            reduce_depth(teacher, self.depth, sample)
        if self.cut is not None:
            prune_channels(teacher, self.channels, sample, self.cut)
        return teacher


def find_derivation(teacher: nn.Module, depth: float, macs: float, sample: list[Tensor]) -> Derivation:
    """How to cut a student out of the teacher, which is not changed.

    Blocks go first, then all channels by one share, found by bisection, so that `macs` (share of the whole
    teacher's multiply-adds) is met as nearly as channel counts allow. `macs=1` removes no channel. `sample`
    holds inputs of two samples.

    Raises:
        UnsupportedError: the teacher cannot be cut, or no cut comes near the request; the message names the
            layers that keep their width, and the shares that can be reached.
    """
    whole = model_size(teacher, sample)["macs"]
    base = plain_weights(copied(teacher))
    if depth < 1:
        reduce_depth(base, depth, sample)
    top = model_size(base, sample)["macs"]
    wanted = macs * whole
    found = Derivation(depth=depth, channels=0.0, cut=None, macs=top, teacher_macs=whole)
    if macs == 1 or abs(top - wanted) <= _CLOSE * wanted:
        return found
    if top < wanted:
        return _near(found, depth, macs, {top}, ())
    search = _ShareSearch(base, sample, found)
    search.towards(wanted)
    return _near(search.best, depth, macs, search.seen, search.cut.refused)


class _ShareSearch:
    """Tries shares of channels on copies of one model."""

    def __init__(self, base: nn.Module, sample: list[Tensor], start: Derivation) -> None:
        self.base, self.sample = base, sample
        self.cut = prunable_layers(base, telling_share(base, sample), sample)
        self.best, self.seen = start, {start.macs}

    def towards(self, wanted: float) -> None:
        """Bisect the share of channels removed until the multiply-adds are near `wanted`."""
        low, high = 0.0, 1.0
        for _ in range(_STEPS):
            share = (low + high) / 2
            macs = self._tried(share, self.cut, wanted)
            if abs(macs - wanted) <= _CLOSE * wanted:
                return
            low, high = (share, high) if macs > wanted else (low, share)
        if abs(self.best.macs - wanted) > _REFINED * wanted:
            self._between(low, high, wanted)

    def _between(self, low: float, high: float, wanted: float) -> None:
        """Remove the larger share from some groups alone, as many as bring the multiply-adds near."""
        groups = sorted(free_groups(self.base, self.sample, self.cut), key=lambda g: (len(g), sorted(g)))
        few, many = 0, len(groups)  # the widths that many layers share come last: they change the most
        while many - few > 1:
            count = (few + many) // 2
            deeper = frozenset[str]().union(*groups[:count])
            macs = self._tried(low, replace(self.cut, deeper=deeper, deeper_share=high), wanted)
            few, many = (count, many) if macs > wanted else (few, count)

    def _tried(self, share: float, cut: Cut, wanted: float) -> int:
        model = copied(self.base)
        prune_channels(model, share, self.sample, cut)
        macs = model_size(model, self.sample)["macs"]
        self.seen.add(macs)
        if abs(macs - wanted) < abs(self.best.macs - wanted):
            self.best = replace(self.best, channels=share, cut=cut, macs=macs)
        return macs


def _near(
    found: Derivation, depth: float, macs: float, seen: set[int], refused: tuple[str, ...]
) -> Derivation:
    """The derivation, if it is near the request."""
    whole = found.teacher_macs
    if abs(found.macs - macs * whole) <= _FAR * macs * whole:
        return found
    below = max((count for count in seen if count < macs * whole), default=None)
    above = min((count for count in seen if count > macs * whole), default=None)
    nearest = " and ".join(f"{count / whole:.2g}" for count in (below, above) if count is not None)
    why = f" (these layers keep their width: {named_layers(refused)})" if refused else ""
    raise UnsupportedError(
        f"macs={macs:g}: with depth={depth:g}, the nearest shares of its multiply-adds that students of this "
        f"teacher reach are {nearest}{why}; ask for one of these, or give the workload a `student` builder"
    )
