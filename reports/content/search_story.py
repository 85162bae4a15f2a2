"""How the search went, in sentences: what was tried, what the gate saved, how good the predictions were."""

from __future__ import annotations

from collections import Counter

from ...search.gate.audit import audit_text
from ...search.ranking.sentences import difference_text
from ...search.record.evaluation import Outcome, StudyRecord
from ...search.record.metrics import metric_info
from ...search.record.training import trainings_met
from .ladder import climbed_text
from .predictions import predictions, score
from .savings import Savings, savings, trainings_done
from .trainings import own_trials
from .words import duration

WAYS = {
    "gain": "by expected gain per expected second",
    "random": "at random",
    "start": "among the first designs",
}


def story(record: StudyRecord) -> tuple[tuple[str, str], ...]:
    """What to say of the search: a word for what it is about, and the sentences. Empty ones are left out."""
    saved = savings(record)
    lines = (
        ("sampler", _sampler(record)),
        ("gate", _gate(record, saved)),
        ("saved", _saved(record, saved)),
        ("device", _device(record)),
        ("quantization", climbed_text(record)),
        ("audit", _audit(record)),
        (f"{metric_info(record.quality).title.lower()} model", _model(record)),
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


def _gate(record: StudyRecord, saved: Savings) -> str:
    if not saved.before + saved.stopped:
        return ""
    quality = metric_info(record.quality).title.lower()
    reasons = (
        (saved.over_limit, "over a limit on the device"),
        (saved.dominated, "certain to be dominated"),
        (saved.hopeless, f"certain to miss a limit on {quality}"),
    )
    parts = ", ".join(f"{count} {reason}" for count, reason in reasons if count)
    total = count_of(sum(1 for _ in own_trials(record)), "candidate")
    before = f"{saved.before} of {total} not trained" + (f": {parts}" if parts else "")
    stopped = f"{saved.stopped} given up in training, after {duration(saved.spent)} in all"
    return "; ".join([before, stopped] if saved.stopped else [before]) + "."


def _saved(record: StudyRecord, saved: Savings) -> str:
    if not saved.before + saved.stopped:
        return ""
    count, seconds = trainings_done(record)
    done = f"{count_of(count, 'training')} done to the end; all training took {duration(seconds)}."
    if not saved.trainings:
        return f"none: what they would have trained was trained for others. {done}"
    spared = f"{count_of(saved.trainings, 'training')} not needed in the end"
    if saved.seconds is None:
        return f"{spared}; none was done, so nothing tells how long they take."
    return f"{spared}: about {duration(saved.seconds)}, {_basis(saved)}. {done}"


def _basis(saved: Savings) -> str:
    """How the seconds were estimated."""
    by_sampler = "what the sampler expected each to take"
    by_median = "the median of those that were done"
    if not saved.expected:
        how = by_median
    elif saved.expected == saved.trainings:
        how = by_sampler
    else:
        how = f"{by_sampler}, for {saved.trainings - saved.expected} of them {by_median}"
    return f"an estimate ({how}" + (", less what was spent before giving up)" if saved.stopped else ")")


def _device(record: StudyRecord) -> str:
    measured = int(record.counters.get("measured", 0))
    own = sum(t.evaluation.outcome is not Outcome.REFUSED for t in own_trials(record))
    if not measured:
        return ""
    return f"{count_of(measured, 'measurement')} on the device for {count_of(own, 'candidate')}."


def _audit(record: StudyRecord) -> str:
    """What the audit found. Its trainings are no part of the search, and so of no other figure."""
    stages = [stage for audited in record.audit for stage in trainings_met(audited.evaluation)]
    spent = sum(stage.seconds for stage in stages if not stage.cached)
    return audit_text(record) + (f" It took {duration(spent)} of training." if spent else "")


def _model(record: StudyRecord) -> str:
    found = score(predictions(record))
    if found is None:
        return ""
    error, constant = (
        None if value is None else difference_text(record.quality, value)
        for value in (found.error, found.constant_error)
    )
    text = f"{found.count} candidates predicted before they were evaluated: off by {error} on average"
    if constant is not None and found.constant_error is not None:
        verdict = "" if found.error < found.constant_error else ", so the model was no better"
        text += f", against {constant} for the mean of all that was known before{verdict}"
    if found.intervals:
        share = 100 * found.held / found.intervals
        text += f". {share:.0f} % of the 95 % intervals held ({found.held} of {found.intervals})"
    if found.rank_correlation is not None:
        text += f". Rank correlation {found.rank_correlation:.2f}"
    return text + "."
