"""All that is asked of one artifact in two places: outputs, decisions, quality, costs, optimizations."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...backends.measure.samples import LatencyPlan
from ...profiles.devices.schema import Profile
from ...profiles.errors import StageError, UnsupportedError
from ..checks.evidence import Evidence, Question, skipped
from ..checks.tolerances import Tolerances
from ..record.checks import OUTPUTS
from ..record.progress import Progress
from .kept import KeptArtifact
from .levels import Blame, Level, Outputs, blamed, dependent, levels
from .numerics import numerics, wrong_outputs
from .questions import AskedSamples
from .runtimes import Answers, Openings, RuntimePlace
from .side_by_side import Way, costs


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What was found of one artifact. `broken` says why it does not run after, `unknown` why nothing could be
    compared; `levels` are those on which its results depend."""

    artifact: KeptArtifact
    subject: str
    evidence: tuple[Evidence, ...] = ()
    broken: str = ""
    unknown: str = ""
    levels: tuple[Level, ...] = ()
    blame: Blame = field(default_factory=Blame)


@dataclass(frozen=True, kw_only=True)
class Rechecking:
    """Asks artifacts in one place and in another on the same device."""

    openings: Openings
    before: RuntimePlace
    after: RuntimePlace
    plan: LatencyPlan
    tolerances: Tolerances
    profile: Profile
    progress: Progress

    def findings(self, artifact: KeptArtifact, questions: AskedSamples) -> Findings:
        """The artifact as it is, in both places."""
        subject = artifact.title
        for place in (self.before, self.after):
            if why := place.lacks(artifact.backend):
                return Findings(
                    artifact=artifact, subject=subject, unknown=f"{artifact.backend} in {place.title}: {why}"
                )
        with self._answers(self.before, artifact) as before, self._answers(self.after, artifact) as after:
            was = self._asked(before, subject, questions)
            if isinstance(was, str):
                why = f"it does not run in {self.before.title}: {was}"
                return Findings(artifact=artifact, subject=subject, unknown=why)
            got = self._asked(after, subject, questions)
            if isinstance(got, str):
                return self._broken(artifact, subject, got)
            found = self._levels(artifact, questions, (before, after), (was, got))
        one, other = Way(place=self.before, artifact=artifact), Way(place=self.after, artifact=artifact)
        told = numerics(subject, artifact, questions, was, got, self.tolerances)
        told += self._costs(subject, one, other)
        return Findings(
            artifact=artifact,
            subject=subject,
            evidence=tuple(told),
            levels=dependent(found),
            blame=blamed(found, self.after, artifact.backend),
        )

    def of_recompiled(self, artifact: KeptArtifact, other: KeptArtifact, questions: AskedSamples) -> Findings:
        """The artifact before, against that of the same weights after."""
        subject = f"{artifact.title} recompiled"
        with self._answers(self.before, artifact) as before, self._answers(self.after, other) as after:
            was, got = (self._asked(one, subject, questions) for one in (before, after))
        if isinstance(was, str) or isinstance(got, str):
            return self._broken(other, subject, got if isinstance(got, str) else str(was))
        told = numerics(subject, other, questions, was, got, self.tolerances)
        one = Way(place=self.before, artifact=artifact)
        told += self._costs(subject, one, Way(place=self.after, artifact=other))
        return Findings(artifact=other, subject=subject, evidence=tuple(told))

    def _broken(self, artifact: KeptArtifact, subject: str, why: str) -> Findings:
        said = f"it does not run in {self.after.title}: {why}"
        told = wrong_outputs(subject, said)
        return Findings(artifact=artifact, subject=subject, evidence=(told,), broken=said)

    def _answers(self, place: RuntimePlace, artifact: KeptArtifact) -> Answers:
        return Answers(self.openings, place, artifact)

    def _asked(self, answers: Answers, subject: str, questions: AskedSamples) -> Outputs | str:
        """Its outputs there, or why there are none."""
        self.progress.stage(f"{subject} in {answers.place.title}: outputs")
        try:
            return answers.outputs(questions.inputs)
        except UnsupportedError as error:
            return error.reason
        except StageError as error:
            return error.cause

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

    def _costs(self, subject: str, before: Way, after: Way) -> list[Evidence]:
        self.progress.stage(f"{subject}: speed, side by side")
        return costs(subject, self.openings, before, after, self.plan, self.tolerances)


def unknown(findings: Findings, tolerances: Tolerances) -> Evidence:
    """The check of an artifact that could not be compared."""
    question = Question(subject=findings.subject, metric=OUTPUTS, tolerance=tolerances.of(OUTPUTS))
    return skipped(question, findings.unknown)
