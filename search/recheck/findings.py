"""All that is asked of one artifact in two places: outputs, decisions, quality, costs, optimizations."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...backends.measure.samples import LatencyPlan
from ...profiles.devices.schema import Profile
from ...profiles.errors import StageError, UnsupportedError
from ...profiles.words import one_line
from ..checks.decide import FALSE_ALARM
from ..checks.evidence import Evidence, Question, skipped
from ..checks.tolerances import Tolerances
from ..record.checks import OUTPUTS, MetricCheck
from ..record.progress import Progress
from .kept import KeptArtifact
from .levels import Blame, Level, blamed, dependent, levels
from .numerics import Outputs, numerics, wrong_outputs
from .questions import AskedSamples
from .runtimes import Answers, Openings, RuntimePlace
from .side_by_side import Way, beside_reference, costs

_MOST_WORDS, _LAST_WORDS, _BEGIN = 240, 160, 60


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What was found of one artifact. `broken` says why it does not run after, `unknown` why nothing could be
    compared, `lacking` that its runtime is not there; `levels` are those on which its results depend. `noted`
    is told and not judged."""

    artifact: KeptArtifact
    subject: str
    evidence: tuple[Evidence, ...] = ()
    broken: str = ""
    unknown: str = ""
    lacking: str = ""
    levels: tuple[Level, ...] = ()
    blame: Blame = field(default_factory=Blame)
    noted: tuple[MetricCheck, ...] = ()

    def all_evidence(self, tolerances: Tolerances) -> tuple[Evidence, ...]:
        """All of it; that nothing could be compared, where that is so."""
        why = self.unknown or self.lacking
        if not why:
            return self.evidence
        question = Question(subject=self.subject, metric=OUTPUTS, tolerance=tolerances.of(OUTPUTS))
        return (skipped(question, why),)


@dataclass(frozen=True, kw_only=True)
class Rechecking:
    """Asks artifacts in one place and in another: on the same device, where both are measured side by side;
    or on another one (`away`), where they are measured beside the `reference` of the study. `saturates`: one
    of the two processors saturates sums of 8-bit products."""

    openings: Openings
    before: RuntimePlace
    after: RuntimePlace
    plan: LatencyPlan
    tolerances: Tolerances
    profile: Profile
    progress: Progress
    saturates: bool = False
    away: bool = False
    reference: KeptArtifact | None = None

    def findings(self, artifact: KeptArtifact, questions: AskedSamples) -> Findings:
        """The artifact as it is, in both places."""
        subject = artifact.title
        for place in (self.before, self.after):
            if why := place.lacks(artifact.backend):
                lacking = f"{artifact.backend} in {place.title}: {why}"
                return Findings(artifact=artifact, subject=subject, lacking=lacking)
        with self._answers(self.before, artifact) as before, self._answers(self.after, artifact) as after:
            was = self._asked(before, subject, questions)
            if isinstance(was, str):
                why = f"it does not run in {self.before.title}: {was}"
                return Findings(artifact=artifact, subject=subject, unknown=why)
            got = self._asked(after, subject, questions)
            if isinstance(got, str):
                return self._broken(artifact, subject, got)
            found = self._levels(artifact, questions, (before, after), (was, got))
        told = numerics(subject, artifact, questions, was, got, self.tolerances, saturates=self.saturates)
        noted = self._there(subject, artifact) if self.away else []
        told += [] if self.away else self._costs(subject, artifact, artifact)
        return Findings(
            artifact=artifact,
            subject=subject,
            evidence=tuple(told),
            levels=dependent(found),
            blame=self._blame(found, artifact.backend),
            noted=tuple(noted),
        )

    def of_recompiled(self, artifact: KeptArtifact, other: KeptArtifact, questions: AskedSamples) -> Findings:
        """The artifact before, against that of the same weights after."""
        subject = f"{artifact.title} recompiled"
        with self._answers(self.before, artifact) as before, self._answers(self.after, other) as after:
            was, got = (self._asked(one, subject, questions) for one in (before, after))
        if isinstance(was, str) or isinstance(got, str):
            return self._broken(other, subject, got if isinstance(got, str) else str(was))
        told = numerics(subject, other, questions, was, got, self.tolerances)
        if all(one.p >= FALSE_ALARM for one in told):
            told += self._costs(subject, artifact, other)
        return Findings(artifact=other, subject=subject, evidence=tuple(told))

    def _broken(self, artifact: KeptArtifact, subject: str, why: str) -> Findings:
        told = wrong_outputs(subject, f"it does not run in {self.after.title}: {why}")
        return Findings(artifact=artifact, subject=subject, evidence=(told,), broken=told.reason)

    def _answers(self, place: RuntimePlace, artifact: KeptArtifact) -> Answers:
        return Answers(self.openings, place, artifact)

    def _asked(self, answers: Answers, subject: str, questions: AskedSamples) -> Outputs | str:
        """Its outputs there, or why there are none."""
        self.progress.stage(f"{subject} in {answers.place.title}: outputs")
        try:
            return answers.outputs(questions.inputs)
        except UnsupportedError as error:
            return _short(error.reason)
        except StageError as error:
            if error.outside and error.device:  # a line that was lost tells nothing of the artifact
                raise
            return _short(error.cause, error.log)

    def _levels(
        self,
        artifact: KeptArtifact,
        questions: AskedSamples,
        answers: tuple[Answers, Answers],
        outputs: tuple[Outputs, Outputs],
    ) -> tuple[Level, ...]:
        self.progress.stage(f"{artifact.title}: levels of optimization")
        first = [questions.first_of(one) for one in outputs]
        try:
            was, got = (
                one or place.outputs(questions.first()) for one, place in zip(first, answers, strict=True)
            )
        except (StageError, UnsupportedError):
            return ()
        return levels(answers, artifact, questions, (was, got), self.profile)

    def _costs(self, subject: str, artifact: KeptArtifact, other: KeptArtifact) -> list[Evidence]:
        self.progress.stage(f"{subject}: speed, side by side")
        before, after = Way(place=self.before, artifact=artifact), Way(place=self.after, artifact=other)
        return costs(subject, self.openings, before, after, self.plan, self.tolerances)

    def _blame(self, found: tuple[Level, ...], backend: str) -> Blame:
        return blamed(found, self.before.runtime(backend), self.after.runtime(backend))

    def _there(self, subject: str, artifact: KeptArtifact) -> list[MetricCheck]:
        self.progress.stage(f"{subject} on {self.after.title}: speed")
        way = Way(place=self.after, artifact=artifact)
        standard = self.reference
        beside = None if standard is None or self.after.lacks(standard.backend) else standard
        return beside_reference(subject, self.openings, way, beside, self.plan)


def _short(cause: str, log: str = "") -> str:
    """A long cause by its beginning and its end, where runtimes say what they mean."""
    said = one_line(cause, 10_000)
    whole = one_line((log.strip().splitlines() or [""])[-1], 10_000)
    begin = said.removesuffix("...").partition(": ")[2][:_BEGIN]
    said = whole if said.endswith("...") and begin and begin in whole else said
    if len(said) <= _MOST_WORDS:
        return said
    return f"{said[: _MOST_WORDS - _LAST_WORDS].rstrip()} ... {said[-_LAST_WORDS:].lstrip()}"
