"""What quantization lost and what was done to win it back, how weights are stored, what sparsity brought."""

from __future__ import annotations

from collections import defaultdict
from math import isfinite

from ...profiles.words import duration, listed
from ...search.ranking.sentences import difference_text
from ...search.record.candidate import Candidate, Sparsity
from ...search.record.evaluation import Evaluation, StudyRecord, TrialRecord
from ...search.record.metrics import metric_info
from ...search.record.quality import QualityScale
from ...search.record.treatment import CALIBRATION, MIXED, QAT, UNTREATED, LadderRung
from .trainings import own_trials
from .treatments import LISTED_LAYERS, treatment_texts

RUNG_NAMES = {CALIBRATION: "calibration", MIXED: "mixed precision", QAT: "quantization-aware training"}
FLOATS = ("float64", "float32", "float16", "bfloat16")


def ladder_lines(record: StudyRecord, trial: TrialRecord) -> list[str]:
    """Each rung with what it was chosen by and what it came to; what the weights give before quantization."""
    evaluation = trial.evaluation
    if not evaluation.ladder and evaluation.treatment == UNTREATED:
        return []
    lines = _before(record, evaluation)
    lines += [f"{i}. {_rung(record, rung)}" for i, rung in enumerate(evaluation.ladder, start=1)]
    lines += [f"- in the artifact: {text}" for text in treatment_texts(evaluation.treatment)]
    return lines


def _before(record: StudyRecord, evaluation: Evaluation) -> list[str]:
    before, info = evaluation.float_quality, metric_info(record.quality)
    if before is None or not isfinite(before):
        return []
    title = info.title.lower()
    if not evaluation.ladder:
        return [f"- before quantization: {title} {info.format(before)}"]
    first = evaluation.ladder[0].before
    worse = _worse(record, before, first)
    lost = f", {difference_text(record.quality, worse)} lost" if worse > 0 else ""
    return [f"- before quantization: {title} {info.format(before)}; quantized: {info.format(first)}{lost}"]


def _rung(record: StudyRecord, rung: LadderRung) -> str:
    info = metric_info(record.quality)
    gained = -_worse(record, rung.before, rung.after)
    parts = [
        f"{RUNG_NAMES.get(rung.name, rung.name)}: {info.format(rung.before)} to {info.format(rung.after)}",
        f"{_signed(record, gained)} ({_signed(record, rung.predicted_gain)} expected)",
        f"{duration(rung.seconds)} ({duration(rung.predicted_seconds)} expected)",
        "kept" if rung.kept else "not kept",
    ]
    text = ", ".join(parts)
    if rung.simulated is not None:
        off = difference_text(record.quality, abs(rung.after - rung.simulated))
        text += (
            f"; fake quantization predicted {info.format(rung.simulated)}, the artifact scored "
            f"{info.format(rung.after)}, {off} apart"
        )
    return text + (f" ({rung.detail})" if rung.detail else "")


def _worse(record: StudyRecord, one: float, other: float) -> float:
    """How much worse `other` is than `one`, in the quality's unit."""
    return QualityScale.of_record(record).goodness(one - other)


def _signed(record: StudyRecord, gain: float) -> str:
    return ("-" if gain < 0 else "+") + difference_text(record.quality, abs(gain))


def coverage_text(evaluation: Evaluation) -> str:
    """How many layers have which storage type, read back from the artifact, and which stay in float where
    others do not; empty where it was not read."""
    layers: dict[str, list[str]] = defaultdict(list)
    for layer, kind in evaluation.stored_as.items():
        layers[kind].append(layer)
    if not layers:
        return ""
    total = len(evaluation.stored_as)
    counts = sorted(layers.items(), key=lambda item: (-len(item[1]), item[0]))
    if len(counts) == 1:
        return f"weights are stored as {counts[0][0]} in " + (
            f"all {total} layers" if total > 1 else "one layer"
        )
    first, *others = (f"as {kind} in {len(names)}" for kind, names in counts)
    text = ", ".join([f"{first} of {total} layers", *others])
    kept = [name for kind, names in counts if kind in FLOATS for name in names]
    stays = f"; in float: {listed(kept, LISTED_LAYERS)}" if 0 < len(kept) < total else ""
    return f"weights are stored {text}{stays}"


def sparsity_text(evaluation: Evaluation) -> str:
    """What sparsity did to the artifact, told as it is; empty for dense candidates."""
    sparsity = Sparsity.parse(evaluation.candidate.sparsity)
    zeros = (
        ""
        if evaluation.zero_share is None
        else f"{100 * evaluation.zero_share:.3g} % of the weights are zero"
    )
    if sparsity.kind == "unstructured":
        return "; ".join(filter(None, (zeros, _sizes(evaluation), _no_faster(evaluation.candidate))))
    if sparsity.kind == "2:4":
        return "; ".join(filter(None, (zeros, _sizes(evaluation), *evaluation.notes)))
    return ""


def _sizes(evaluation: Evaluation) -> str:
    size, compressed = (evaluation.metrics.get(name) for name in ("size_bytes", "compressed_bytes"))
    if size is None or compressed is None:
        return ""
    info = metric_info("size_bytes")
    return f"the file has {info.format(size.value)}, compressed {info.format(compressed.value)}"


def _no_faster(candidate: Candidate) -> str:
    return f"zeros change the compressed size alone: {candidate.backend} computes them like any other weight"


def climbed_text(record: StudyRecord) -> str:
    """What all ladders of the study came to, in a sentence or two."""
    climbs = [t.evaluation for t in own_trials(record) if t.evaluation.ladder]
    rungs = [rung for evaluation in climbs for rung in evaluation.ladder]
    if not rungs:
        return ""
    kept = [rung for rung in rungs if rung.kept]
    parts = [
        f"{RUNG_NAMES.get(name, name)} {_kept_of(rungs, name)}"
        for name in dict.fromkeys(r.name for r in rungs)
    ]
    text = (
        f"{len(climbs)} candidate{'' if len(climbs) == 1 else 's'} lost too much to quantization; "
        f"{len(kept)} of {len(rungs)} rungs brought something ({', '.join(parts)}), in "
        f"{duration(sum(rung.seconds for rung in rungs))}."
    )
    gains = [-_worse(record, e.ladder[0].before, _end(e)) for e in climbs]
    text += f" Won back: {difference_text(record.quality, max(gains))} at most."
    return text + _off(record, rungs)


def _end(evaluation: Evaluation) -> float:
    kept = [rung.after for rung in evaluation.ladder if rung.kept]
    return kept[-1] if kept else evaluation.ladder[0].before


def _kept_of(rungs: list[LadderRung], name: str) -> str:
    own = [rung for rung in rungs if rung.name == name]
    return f"{sum(rung.kept for rung in own)} of {len(own)}"


def _off(record: StudyRecord, rungs: list[LadderRung]) -> str:
    """How far predicted gains and fake quantization were from what was found."""
    gains = [abs(rung.predicted_gain + _worse(record, rung.before, rung.after)) for rung in rungs]
    text = (
        f" Expected gains were off by {difference_text(record.quality, sum(gains) / len(gains))} on average"
    )
    fake = [abs(rung.simulated - rung.after) for rung in rungs if rung.simulated is not None]
    if fake:
        text += f"; fake quantization by {difference_text(record.quality, sum(fake) / len(fake))}"
    return text + "."
