"""The reference of a study: the uncompressed teacher, which every number is taken against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ...profiles.errors import StageError, UnsupportedError, UserError
from ...profiles.system_trouble import refusal
from ..ranking.known import reference_trial
from ..record.agreement import MEND_DEVICE, ComputesWronglyError
from ..record.candidate import Candidate
from ..record.evaluation import Evaluation, Quantity, StudyRecord, TrialRecord
from ..record.limits import LimitSpec, resolve
from ..record.protocols import CandidateEvaluator, Standard
from ..record.stops import INTERRUPTED, Interrupted


def prepare(evaluator: CandidateEvaluator, reference: Candidate, frame: StudyRecord) -> StudyRecord:
    """Make the reference ready to be measured against; the record's frame with what its processes differ by.

    Raises:
        UserError: it does not run, so the study cannot.
    """
    try:
        return replace(frame, timing=evaluator.prepare_reference(reference) or frame.timing)
    except UnsupportedError as error:
        raise _cannot_start(reference, error.reason, "") from error
    except ComputesWronglyError as error:
        raise _computes_wrongly(reference, error.cause) from error
    except StageError as error:
        cause = f"{error.stage}: {error.cause}"
        raise _cannot_start(reference, cause, error.log, outside=error.outside) from error


def settled(
    specs: Sequence[LimitSpec],
    quality: str,
    teacher: Evaluation,
    test_score: Callable[[Evaluation], Quantity],
) -> Standard:
    """What the reference's evaluation settles. Its score on test is asked for where a limit on the quality is
    relative to it: the quality differs between splits."""
    values = {name: quantity.value for name, quantity in teacher.metrics.items()}
    limits = tuple(resolve(spec, values) for spec in specs)
    if any(spec.relative and spec.metric == quality for spec in specs):
        on_test = {**values, quality: test_score(teacher).value}
        limits = tuple(
            replace(limit, bound_on_test=resolve(spec, on_test).bound)
            if spec.relative and spec.metric == quality
            else limit
            for spec, limit in zip(specs, limits, strict=True)
        )
    return Standard(reference_ms=teacher.metrics["latency_ms"].value, limits=limits)


def on_test(evaluator: CandidateEvaluator, record: StudyRecord) -> Quantity | None:
    """The reference's quality on test: what those of finalists are compared with. None where it crashed."""
    trial = reference_trial(record)
    try:
        return None if trial is None else evaluator.test_score(trial.evaluation)
    except StageError:
        return None


def failed(reference: Candidate, done: TrialRecord | None) -> Exception:
    """What to raise where the reference has no complete evaluation."""
    if done is None:
        return Interrupted(INTERRUPTED)
    evaluation = done.evaluation
    if evaluation.agreement is not None and not evaluation.agreement.agrees:
        return _computes_wrongly(reference, evaluation.cause)
    cause = f"{evaluation.stage}: {evaluation.cause}" if evaluation.cause else evaluation.reason
    return _cannot_start(reference, cause, evaluation.log, outside=evaluation.try_again)


def _computes_wrongly(reference: Candidate, cause: str) -> UserError:
    return UserError(
        f"the device computes wrongly from the uncompressed teacher: {reference.title}",
        found=cause,
        accepted="outputs as on this machine, within what the precision and another processor can change",
        remedy=f"every number is taken against it, so nothing else was trained: {MEND_DEVICE}; or leave this "
        "backend out of `space.backend`",
    )


def _cannot_start(reference: Candidate, cause: str, log: str, *, outside: bool = False) -> UserError:
    last = log.strip().splitlines()[-1:] or [""]
    refused = refusal(f"{cause}\n{log}")
    mend = refused.remedy if refused else _AGAIN if outside else _MEND
    return UserError(
        f"the uncompressed teacher cannot run: {reference.title}",
        found=cause if last[0] in cause else f"{cause}. {last[0]}",
        remedy=f"every number is taken against it, so the study needs it: {mend}",
    )


_AGAIN = "it was ended from outside, so look at the device, and run again: what was finished is kept"
_MEND = "mend the model or the runtime, or leave this backend out of `space.backend`"
