"""How finalists would be deployed: threads, batches and runtimes' options, searched by measuring alone.

What this finds is a proposal. `confirmed.py` has each measured afresh beside the default before it counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ...backends.measure.summary import compare
from ...profiles.errors import StageError, UnsupportedError
from ..ranking.known import trial_of
from ..ranking.ranking import strongest_simple_choice
from ..record.evaluation import Evaluation, Quantity, StudyRecord
from ..record.options import Axis
from ..record.setting import Setting
from ..stages.chain import Chain
from ..stages.deployment.tries import Deployable, raced
from ..stages.deployment.walk import OptionsWalk, common_batch
from .as_deployed import AsDeployed, known_of, measured, newly_missed
from .options_effort import Tries

_DEFAULT = "default"


@dataclass(kw_only=True)
class Proposed:
    """What was found for one finalist: its walk (None: there was no time for one), and why less was tried
    than was asked for."""

    walk: OptionsWalk | None = None
    untried: list[str] = field(default_factory=list)


class OptionsSearch:
    """Searches for all finalists of a study, in at most so many seconds."""

    def __init__(
        self,
        record: StudyRecord,
        chain: Chain,
        tries: Tries,
        first: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._record, self._chain, self._first = record, chain, first
        self._asked, self._pace, self._seconds = tries.asked, tries.pace, tries.seconds
        self._until, self._clock = clock() + tries.seconds, clock
        self._defaults: dict[int, AsDeployed] = {}

    def proposed(self, defaults: Mapping[int, AsDeployed]) -> dict[int, Proposed]:
        """By the finalist's number. `defaults` are the finalists as the study runs them, the best ranked
        first; but time is spent first on the strongest simple choice, with which they are compared."""
        self._defaults = dict(defaults)
        simple = strongest_simple_choice(self._record)
        order = sorted(defaults, key=lambda number: number != simple)
        found = {number: Proposed(untried=list(self._asked.left_out)) for number in defaults}
        for number in order:
            self._begin(number, found[number])
        walks = {number: one.walk for number, one in found.items() if one.walk is not None}
        if walks:
            whole = len(walks) == len(found)
            batch = self._batch(walks) if whole else None
            if self._asked.batches and not whole:
                for number in walks:
                    found[number].untried.append("another batch for all: not each finalist was tried at it")
            for number in filter(walks.__contains__, order):
                walks[number].batch = batch or walks[number].default.batch
                self._finish(number, walks[number], found[number])
        return found

    def _begin(self, number: int, one: Proposed) -> None:
        """Measure each value of each axis alone."""
        default = self._defaults[number].contender
        axes = self._axes(number)
        wanted = sum(len(axis.values) for axis in axes(default.setting))
        if self._clock() + self._pace.seconds(number, wanted) > self._until:
            one.untried.append(
                f"nothing was tried: {self._seconds:.0f} s of the budget were left for options"
            )
            return
        walk = OptionsWalk(default.setting, axes)
        try:
            self._step(number, walk)
        except StageError as error:
            one.untried.append(f"nothing could be measured: {error.cause}")
        else:
            one.walk = walk

    def _axes(self, number: int) -> Callable[[Setting], tuple[Axis, ...]]:
        candidate = self._evaluation(number).candidate
        return lambda beside: self._asked.axes(candidate.backend, candidate.precision, beside)

    def _evaluation(self, number: int) -> Evaluation:
        return trial_of(self._record, number).evaluation

    def _finish(self, number: int, walk: OptionsWalk, one: Proposed) -> None:
        """Put together what gained something alone, and take the best that holds the limits."""
        try:
            while wanted := walk.proposals():
                if self._clock() + self._pace.seconds(number, len(wanted)) > self._until:
                    one.untried.append(
                        "what gains something alone was not all tried together: the time was up"
                    )
                    break
                self._step(number, walk)
            while walk.best != walk.start and (why := self._refusal(number, walk.best)):
                walk.leave_out(walk.best, why)
        except StageError as error:
            one.untried.append(f"not all could be measured: {error.cause}")

    def _step(self, number: int, walk: OptionsWalk) -> None:
        """One measurement of a walk: what it proposes, beside the default.

        Raises:
            StageError: the default broke, or the reference.
        """
        self._chain.checkpoint()
        default, failed = self._defaults[number].contender, dict[Setting, str]()
        contenders = {_DEFAULT: default}
        for setting in walk.proposals():
            try:
                contenders[setting.title] = self.contender(number, setting)
            except UnsupportedError as error:
                failed[setting] = error.reason
            except StageError as error:
                if error.outside:
                    raise
                failed[setting] = error.cause
        ratios: dict[Setting, Quantity] = {}
        if len(contenders) > 1:
            said = f"try options of #{number} ({len(contenders) - 1} settings)"
            rounds = raced(self._chain.device, contenders, self._pace.plan, said, kept=True)
            for name, one in contenders.items():
                if name in rounds.failed:
                    if name == _DEFAULT:
                        raise StageError(*rounds.failed[name])
                    failed[one.setting] = rounds.failed[name][1]
                elif name != _DEFAULT:
                    ratio = compare(rounds, name, _DEFAULT, self._chain.device.spread)
                    ratios[one.setting] = per_sample(ratio, one.setting, default.setting)
        walk.learn(ratios, failed)

    def contender(self, number: int, setting: Setting) -> Deployable:
        """The finalist's artifact as it would be run by a setting; compiled where that takes another."""
        default = self._defaults[number].contender
        same = (setting.batch, setting.compiled_with) == (
            default.setting.batch,
            default.setting.compiled_with,
        )
        compiled = default.compiled if same else self._chain.artifact(self._evaluation(number), setting)
        return Deployable(compiled=compiled, backend=default.backend, setting=setting)

    def _refusal(self, number: int, setting: Setting) -> str:
        """The limit that a setting misses and the default does not, with what it comes to; empty where there
        is none."""
        default, evaluation = self._defaults[number], self._evaluation(number)
        before = known_of(self._record, evaluation, default)
        found = known_of(self._record, evaluation, self.as_deployed(number, setting))
        latencies = {name for name in found if name.startswith("latency_")}  # of the same rounds, later
        return newly_missed(self._record, {n: q for n, q in found.items() if n not in latencies}, before)

    def as_deployed(self, number: int, setting: Setting) -> AsDeployed:
        """The finalist by another setting, with what the device shows of it so.

        Raises:
            StageError: it broke.
        """
        like = self._defaults[number] if self._exact(number, setting) else None
        contender = self.contender(number, setting)
        return measured(self._evaluation(number), contender, self._chain, like, self._first)

    def _exact(self, number: int, setting: Setting) -> bool:
        """Whether the default's score holds: nothing is compiled anew, nor told what changes the outputs."""
        default = self._defaults[number].contender.setting
        if setting.batch != default.batch or setting.compiled_with != default.compiled_with:
            return False
        told = dict(setting.options)
        return all(axis.exact for axis in self._axes(number)(setting) if axis.name in told)

    def _batch(self, walks: Mapping[int, OptionsWalk]) -> int:
        best = next(iter(walks))

        def allowed(batch: int) -> bool:
            walk, setting = walks[best], replace(walks[best].default, batch=batch)
            why = self._too_slow(best, walk, setting) or self._refusal(best, setting)
            if why:
                walk.leave_out(setting, why)
            return not why

        return common_batch(self._asked.batches, tuple(walks.values()), allowed)

    def _too_slow(self, number: int, walk: OptionsWalk, setting: Setting) -> str:
        """The limit on latency that a batch would miss: its run takes all samples' time together."""
        known = known_of(self._record, self._evaluation(number), self._defaults[number])
        times = (walk.ratio(setting) or 1.0) * setting.batch / walk.default.batch
        slower = {n: replace(q, value=times * q.value) for n, q in known.items() if n.startswith("latency_")}
        return newly_missed(self._record, slower, known, or_further=True)


def per_sample(ratio: Quantity, setting: Setting, default: Setting) -> Quantity:
    """The ratio of two runs as one of the time that each sample of them takes."""
    by = default.batch / setting.batch
    ends = (None if end is None else by * end for end in (ratio.low, ratio.high))
    low, high = ends
    return replace(ratio, value=by * ratio.value, low=low, high=high)
