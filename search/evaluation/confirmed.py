"""Settings that the search proposes, measured afresh beside the default: what holds there is chosen.

All finalists are run at one batch, so that a latency is of the same number of samples for each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ...backends.measure.samples import Rounds
from ...backends.measure.spread import Spread
from ...backends.measure.summary import compare, summarize
from ...profiles.errors import StageError
from ..record.evaluation import Quantity, StudyRecord
from ..record.options import Options, Try
from ..record.setting import Setting
from ..stages.chain import Chain
from ..stages.deployment.tries import Deployable
from ..stages.device.quantities import latency_quantities
from .as_deployed import AsDeployed, newly_missed
from .options import OptionsSearch, Proposed, per_sample
from .options_effort import Tries

_UNKNOWN = Spread(deviation=0.01)
"""Where it could not be seen what processes differ by: as much as on a busy machine."""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """One finalist as it may be run: by the study's setting, at the batch that is proposed for all (where
    that is another one), and by what is proposed for it alone."""

    number: int
    default: AsDeployed
    at_batch: AsDeployed | None = None
    best: AsDeployed | None = None
    proposed: Proposed | None = None

    @property
    def named(self) -> dict[str, AsDeployed]:
        """Those that there are."""
        name = str(self.number)
        sides = {name: self.default, f"{name} at the batch": self.at_batch, f"{name} by options": self.best}
        return {name: one for name, one in sides.items() if one is not None}

    def name_of(self, side: AsDeployed) -> str:
        """Its name in the rounds."""
        return next(name for name, one in self.named.items() if one is side)


def proposed_sides(
    record: StudyRecord, defaults: Mapping[int, AsDeployed], chain: Chain, tries: Tries | None, first: int
) -> tuple[Sides, ...]:
    """What is to be measured of each finalist: with `tries`, what these propose, too. `defaults` are the
    finalists as the study runs them, the best ranked first, and scored on the `first` samples of test."""
    if tries is None:
        return tuple(Sides(number=number, default=one) for number, one in defaults.items())
    search = OptionsSearch(record, chain, tries, first)
    found = search.proposed(defaults)
    return tuple(_sides(number, one, found.get(number), search) for number, one in defaults.items())


def contenders(sides: Iterable[Sides]) -> dict[str, Deployable]:
    """All that are measured afresh, by their names in the rounds."""
    return {name: side.contender for one in sides for name, side in one.named.items()}


def _sides(number: int, default: AsDeployed, proposed: Proposed | None, search: OptionsSearch) -> Sides:
    walk = proposed.walk if proposed else None
    if proposed is None or walk is None:
        return Sides(number=number, default=default, proposed=proposed)
    start = best = None
    try:
        start = None if walk.start == walk.default else search.as_deployed(number, walk.start)
        best = None if walk.best == walk.start else search.as_deployed(number, walk.best)
    except StageError as error:
        proposed.untried.append(f"what was found could not be measured again: {error.cause}")
    return Sides(number=number, default=default, at_batch=start, best=best, proposed=proposed)


@dataclass(frozen=True, kw_only=True)
class Settled:
    """How a finalist is run: its name in the rounds, what the record has of the search (None: there was
    none), and how it is run instead where its options turn out to miss a limit."""

    number: int
    name: str
    side: AsDeployed
    options: Options | None = None
    instead: Settled | None = None

    def without_options(self, why: str) -> Settled:
        """At the same batch without what was found for it alone, for that reason; itself where there is
        nothing of that."""
        other = self.instead
        if other is None or other.options is None or self.options is None:
            return self
        rejected = Try(setting=self.options.chosen, ratio_to_default=self.options.ratio_to_default, note=why)
        return replace(other, options=replace(other.options, rejected=rejected))


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """Decides by rounds in which all sides of all finalists took part."""

    record: StudyRecord
    rounds: Rounds
    spread: Spread | None

    def settled(self, sides: Sequence[Sides]) -> tuple[Settled, ...]:
        """How each finalist is run; the first of them, the best ranked, decides on the batch."""
        one_batch = self._batch_holds(sides[0])
        return tuple(self._settled(one, one_batch=one_batch) for one in sides)

    def _batch_holds(self, first: Sides) -> bool:
        return first.at_batch is not None and not self._fault(first, first.at_batch, first.default)

    def _settled(self, one: Sides, *, one_batch: bool) -> Settled:
        base = one.at_batch if one_batch and one.at_batch is not None else one.default
        chosen, fault, best = base, "", one.best
        if best is not None:
            other = best.contender.setting.batch != base.contender.setting.batch
            fault = "its batch is not worth having" if other else self._fault(one, best, base)
            chosen = base if fault else best
        name = one.name_of(chosen)
        if one.proposed is None:
            return Settled(number=one.number, name=name, side=chosen)
        promised = best if best is not None else one.at_batch
        rejected = None
        if promised is not None and promised is not chosen and promised is not base:
            ratio = self._ratio(one, promised, one.default)
            setting = promised.contender.setting
            rejected = Try(setting=setting, ratio_to_default=ratio, note=fault or "not worth having")
        options = self._options(one, chosen, rejected)
        found = Settled(number=one.number, name=name, side=chosen, options=options)
        if chosen is base:
            return found
        plain = self._options(one, base, None)
        instead = Settled(number=one.number, name=one.name_of(base), side=base, options=plain)
        return replace(found, instead=instead)

    def _options(self, one: Sides, chosen: AsDeployed, rejected: Try | None) -> Options:
        default, run, proposed = one.default.contender, chosen.contender, one.proposed or Proposed()
        other = run.compiled.key != default.compiled.key
        return Options(
            default=default.setting,
            chosen=run.setting,
            tried=tuple(proposed.walk.tried.values()) if proposed.walk else (),
            ratio_to_default=None if chosen is one.default else self._ratio(one, chosen, one.default),
            rejected=rejected,
            artifact_key=run.compiled.key if other else "",
            untried=tuple(proposed.untried),
        )

    def _fault(self, one: Sides, side: AsDeployed, base: AsDeployed) -> str:
        """Why a side is not worth having in place of another; empty where it is."""
        ratio = self._ratio(one, side, base)
        if ratio is None:
            broke = (self.rounds.failed.get(one.name_of(each)) for each in (side, base))
            return f"it could not be compared: {next(filter(None, broke))[1]}"
        if ratio.high is None or ratio.high >= 1:
            return "measured afresh it is not faster beyond error"
        now, before = self.latencies(one.name_of(side)), self.latencies(one.name_of(base))
        samples = (side.contender.setting.batch, base.contender.setting.batch)
        if now["latency_ms"].value / samples[0] > before["latency_ms"].value / samples[1]:
            return "its typical run is not faster"
        return newly_missed(self.record, now, before, or_further=True)

    def _ratio(self, one: Sides, side: AsDeployed, base: AsDeployed) -> Quantity | None:
        """Time per sample over that of another side; None where one of them broke."""
        a, b = one.name_of(side), one.name_of(base)
        if {a, b} & set(self.rounds.failed):
            return None
        ratio = compare(self.rounds, a, b, self.spread or _UNKNOWN)
        how = f"time per sample over that of the default, measured afresh, {len(self.rounds.order)} rounds"
        return replace(per_sample(ratio, side.contender.setting, base.contender.setting), how=how)

    def latencies(self, name: str) -> dict[str, Quantity]:
        """The latencies of a side."""
        return latency_quantities(summarize(self.rounds, name, self.spread))


def run_by(found: Mapping[str, Quantity], contender: Deployable, usual: Setting) -> dict[str, Quantity]:
    """Latencies of a run by another setting than the study's, which says so; against the reference, which
    runs by that, they are of a sample."""
    setting = contender.setting
    if setting == usual:
        return dict(found)
    told = {name: replace(q, how=f"{q.how}, {setting.title}") for name, q in found.items()}
    if "latency_ratio" in told:
        told["latency_ratio"] = per_sample(told["latency_ratio"], setting, usual)
    return told
