"""How the search went, in sentences: what was proposed, stopped and trained, and why it ended."""

from __future__ import annotations

from collections import Counter

from ...profiles.words import duration
from ...search.gate.audit import audit_text
from ...search.ranking.foretold import foretold
from ...search.record.evaluation import Outcome, StudyRecord
from ...search.record.metrics import metric_info
from ...search.record.training import trainings_met, went_on
from .ladder import climbed_text
from .trainings import last_training_seconds, own_trials, training_seconds, trainings_done
from .tuned import not_tuned, tunings_text

WAYS = {
    "gain": "by expected gain per expected second",
    "random": "at random",
    "start": "among the first designs",
    "continued": "to go on with a paused training",
}


def story(record: StudyRecord) -> tuple[tuple[str, str], ...]:
    """What to say of the search: a word for what it is about, and the sentences. Empty ones are left out."""
    lines = (
        ("sampler", _sampler(record)),
        ("gate", _gate(record)),
        ("training", _training(record)),
        ("untrained networks", _foretold(record)),
        ("tuning", tunings_text(record)),
        ("quantization", climbed_text(record)),
        ("audit", _audit(record)),
        ("ended because", record.stopped),
    )
    return tuple((title, text) for title, text in lines if text)


def way(by: str) -> str:
    """How a candidate was proposed, in words."""
    return WAYS.get(by, f"by {by}")


def count_of(number: int, thing: str) -> str:
    """ "1 candidate", "3 candidates"."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _sampler(record: StudyRecord) -> str:
    proposals = [t.evaluation.proposal for t in own_trials(record)]
    counts = Counter(proposal.by for proposal in proposals if proposal is not None)
    ways = ", ".join(f"{count} {way(by)}" for by, count in counts.most_common())
    return ": ".join(part for part in (record.sampler, ways and f"proposed {ways}") if part)


def _gate(record: StudyRecord) -> str:
    gated = [t for t in record.trials if t.ended(Outcome.GATED) and not not_tuned(t)]
    if not gated:
        return ""
    bounds = [t.evaluation.bound for t in gated if not t.evaluation.stopped_epoch]
    stopped = [t for t in gated if t.evaluation.stopped_epoch and not t.evaluation.paused]
    beaten = sum(bound is not None and bound.beaten_by is not None for bound in bounds)
    reasons = (
        (bounds.count(None), "over a limit on the device"),
        (beaten, "certain to be dominated"),
        (
            len(bounds) - bounds.count(None) - beaten,
            f"certain to miss a limit on {metric_info(record.quality).title.lower()}",
        ),
    )
    parts = ", ".join(f"{count} {reason}" for count, reason in reasons if count)
    total = count_of(sum(1 for _ in own_trials(record)) - len(went_on(record)), "candidate")
    before = f"{len(bounds)} of {total} not trained" + (f": {parts}" if parts else "")
    spent = duration(sum(map(last_training_seconds, stopped)))
    given_up = f"; {len(stopped)} given up in training, after {spent} in all" if stopped else ""
    return f"{before}{given_up}{_paused(record)}."


def _paused(record: StudyRecord) -> str:
    """What was paused in training, and how much of it was gone on with."""
    later = went_on(record)
    paused = [trial for trial in own_trials(record) if trial.evaluation.paused]
    if not paused:
        return ""
    left = [trial for trial in paused if trial.number not in later]
    spent = duration(sum(map(last_training_seconds, left)))
    stands = (
        f"{len(left)} stand where they were, after {spent} in all" if left else "none stands where it was"
    )
    late = sum(trial.evaluation.late for trial in left)
    stands += f", {late} of them for want of time" if late else ""
    return f"; trainings were paused {len(paused)} times and gone on with {len(later)} times, {stands}"


def _training(record: StudyRecord) -> str:
    seconds = sum(map(training_seconds, record.trials))
    if not seconds:
        return ""
    count = sum(map(trainings_done, own_trials(record)))
    return f"{count_of(count, 'training')} done to the end; all training took {duration(seconds)}."


def _foretold(record: StudyRecord) -> str:
    found = foretold(record)
    if found is None:
        return ""
    together = "" if found.together is None else f"; all together {found.together:.2f}"
    each = ", ".join(f"{name} {value:.2f}" for name, value in found.proxies.items())
    against = f"the quality of {count_of(found.students, 'trained student')}"
    return f"what they told before training, against {against} (rank correlation): {each}{together}."


def _audit(record: StudyRecord) -> str:
    """What the audit found. Its trainings are no part of the search, and so of no other figure."""
    stages = [stage for audited in record.audit for stage in trainings_met(audited.evaluation)]
    spent = sum(stage.seconds for stage in stages if not stage.cached)
    return audit_text(record) + (f" It took {duration(spent)} of training." if spent else "")
