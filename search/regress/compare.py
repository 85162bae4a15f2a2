"""One night against another: what is shipped, the same candidate, the teacher and the reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ...profiles.quantity import Quantity
from ..checks.decide import decided
from ..checks.evidence import Evidence, Question, skipped, unpaired
from ..checks.paired import compared
from ..checks.tolerances import Tolerance, Tolerances
from ..record.checks import Checked
from ..record.metrics import HARDWARE_METRICS
from .baseline import Baseline, Shippable
from .limits import LimitsHeld
from .pairing import OF_DEVICE, OTHER_MODEL, Pairing, sound
from .subjects import REFERENCE, TEACHER, same_subject, shipped_subject
from .verdicts import VerdictChecks

LATENCY, RATIO, QUICKEST = "latency_ms", "latency_ratio", "latency_min_ms"
ALWAYS = (RATIO, "memory_bytes", "size_bytes", "energy_mj", "delegated")
"""What is compared beside quality, where it was measured; others where a limit or the user names them."""
THE_MACHINE = "the same network on the same runtime: the machine is slower than then, not what runs on it"


def regressed(
    then: Baseline, now: Baseline, tolerances: Tolerances, beside: Sequence[Evidence] = ()
) -> Checked:
    """All that is compared between two nights, with one correction for the number of comparisons. `beside` is
    what has been asked of both artifacts side by side, which counts in the place of what was recorded."""
    nights = _Nights(then=then, now=now, tolerances=tolerances, beside=tuple(beside))
    checks = decided(tuple(nights.evidence()))
    return Checked(
        of=now.source,
        against=then.source,
        checks=VerdictChecks(then=then, now=now).around(checks),
        environment={name: str(value) for name, value in now.machine.items()},
    )


@dataclass(frozen=True, kw_only=True)
class _Nights:
    """Two nights, and what may be worse."""

    then: Baseline
    now: Baseline
    tolerances: Tolerances
    beside: tuple[Evidence, ...] = ()

    def evidence(self) -> Iterator[Evidence]:
        before, after = self.then.shipped, self.now.shipped
        if before is not None and after is not None:
            yield from self.beside
            told = {one.question.metric for one in self.beside if not one.skipped}
            told |= {RATIO, QUICKEST} if LATENCY in told else set()
            shipped = self._of(shipped_subject(after), before, after)
            yield from (one for one in shipped if one.question.metric not in told)
            same = self.now.known(before.digest)
            if before.digest != after.digest and same is not None:
                yield from self._of(same_subject(same), before, same)
        yield from self._of_teacher()
        yield from self._of_reference()
        yield from LimitsHeld(then=self.then, now=self.now).evidence()

    @property
    def pairing(self) -> Pairing:
        return Pairing(then=self.then, now=self.now)

    def _question(self, subject: str, metric: str) -> Question:
        higher = self.now.higher_is_better if metric == self.now.quality else None
        tolerance, stated = self.tolerances.of(metric), self.tolerances.stated.get(LATENCY)
        if metric == RATIO and RATIO not in self.tolerances.stated and stated is not None:
            tolerance = stated if stated.relative else self._as_share(stated)
        return Question(subject=subject, metric=metric, tolerance=tolerance, higher=higher)

    def _as_share(self, stated: Tolerance) -> Tolerance:
        """Milliseconds as a share of what the latency was."""
        shipped = self.then.shipped
        latency = None if shipped is None else shipped.metrics.get(LATENCY)
        if latency is None or not sound(latency) or latency.value <= 0:
            return stated
        return replace(stated, amount=stated.amount / latency.value, relative=True)

    def _of(self, subject: str, before: Shippable, after: Shippable) -> Iterator[Evidence]:
        yield self._of_quality(self._question(subject, self.now.quality), before, after)
        limited = [limit.metric for limit in self.now.limits]
        asked = (*ALWAYS, *limited, *self.tolerances.stated)
        # Latencies of two nights compare by their ratios to the reference.
        for metric in dict.fromkeys(RATIO if name == LATENCY else name for name in asked):
            if metric != self.now.quality:
                yield from self._of_metric(self._question(subject, metric), before, after)

    def _of_quality(self, question: Question, before: Shippable, after: Shippable) -> Evidence:
        if self.then.quality != self.now.quality:
            return skipped(question, f"the quality was {self.then.quality} then")
        expected, found = before.metrics.get(question.metric), after.metrics.get(question.metric)
        if expected is None or found is None or not sound(expected, found):
            return skipped(question, f"it is not known {'then' if expected is None else 'tonight'}")
        if before.split != after.split:
            why = f"on the {before.split} split then, on the {after.split} split tonight"
            return compared(question, replace(expected, by_sample=None), found).open(why)
        evidence = compared(question, expected, found)
        same_file = bool(before.artifact_key) and before.artifact_key == after.artifact_key
        return replace(evidence, unchanged=True) if same_file and expected.value == found.value else evidence

    def _of_metric(self, question: Question, before: Shippable, after: Shippable) -> Iterator[Evidence]:
        expected, found = before.metrics.get(question.metric), after.metrics.get(question.metric)
        if question.metric == RATIO and self.pairing.not_shared:
            yield self._of_latency(replace(question, metric=QUICKEST), before, after)
        elif expected is not None and found is not None:
            yield self._measured(question, expected, found)
        elif expected is not None or question.metric in self.tolerances.stated:
            yield skipped(question, f"it was not measured {'then' if expected is None else 'tonight'}")

    def _measured(
        self, question: Question, expected: Quantity, found: Quantity, reason: str = ""
    ) -> Evidence:
        """Two values that were measured apart."""
        metric, pairing = question.metric, self.pairing
        if not sound(expected, found):
            return skipped(question, "a number that is none")
        if metric not in HARDWARE_METRICS:
            return compared(question, expected, found)
        if metric not in OF_DEVICE:
            return unpaired(question, expected, found)
        if pairing.other_device:
            return skipped(question, pairing.other_device)
        between = pairing.between(metric)
        if question.subject != REFERENCE:
            expected = pairing.as_tonight(metric, expected)
        evidence = unpaired(
            question, expected, found, degrees=pairing.degrees, between=between, reason=reason
        )
        return evidence.doubted(pairing.disturbed(metric))

    def _of_latency(self, question: Question, before: Shippable, after: Shippable) -> Evidence:
        """By itself, where the reference is not what it was: ratios to two references do not compare."""
        expected, found = before.metrics.get(QUICKEST), after.metrics.get(QUICKEST)
        if expected is None or found is None:
            return skipped(question, f"{self.pairing.not_shared}, and its own latency is not known")
        return self._measured(question, expected, found, f"by quickest runs, since {self.pairing.not_shared}")

    def _of_teacher(self) -> Iterator[Evidence]:
        expected, found = self.then.anchor.quality, self.now.anchor.quality
        if expected is not None and found is not None and self.then.quality == self.now.quality:
            yield compared(self._question(TEACHER, self.now.quality), expected, found)

    def _of_reference(self) -> Iterator[Evidence]:
        """Its own latency: a runtime that slows everything down leaves all ratios alone."""
        expected, found = self.then.anchor.latency_ms, self.now.anchor.latency_ms
        if expected is None or found is None:
            return
        question, why = self._question(REFERENCE, QUICKEST), self.pairing.not_shared
        stated = self.tolerances.stated.get(LATENCY)
        if stated is not None and stated.relative:
            question = replace(question, tolerance=stated)
        if why == OTHER_MODEL:
            yield skipped(question, why)
        else:
            evidence = self._measured(question, expected, found)
            yield evidence if why else replace(evidence.doubted(THE_MACHINE), noted=True)
