"""Whether an artifact still computes what its float model computes. Used by every adapter after compiling.

Several formats of today's runtimes load, run and give garbage; comparing outputs is the only sure guard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from ...profiles.errors import StageError, UnsupportedError
from ...profiles.precision import Precision
from ...profiles.words import listed
from .backend import Array, CalibrationData, Feed, Session, batches

# Far below what any working format gives (4-bit weights: about 15 dB), far above garbage (about 0 dB).
FLOOR_DB = 6.0
# Of what differs between samples: below this, noise is larger than all that an output says about a sample.
VARIATION_FLOOR_DB = 0.0
# An output that varies less than by a thousandth of its size says so little that eight bits cannot hold it.
_LEAST_VARIATION = 1e-6
_MOST_FEEDS = 8
LEAST_SHARE = 0.5
# With layers kept in float on purpose, what is left at the precision must still be worth its name.
LEAST_LEFT = 0.05
# Elements per byte of the storage types that weights are stored in.
_DENSITY = {
    "float32": 0.25, "float16": 0.5, "bfloat16": 0.5, "float8": 1.0, "int8": 1.0, "uint8": 1.0, "int4": 2.0,
}  # fmt: skip
_STORED_AS = {
    Precision.FP16: ("float16",),
    Precision.BF16: ("bfloat16",),
    Precision.FP8: ("float8",),
    Precision.INT8: ("int8", "uint8"),
    Precision.INT8_DYNAMIC: ("int8", "uint8"),
    Precision.INT16X8: ("int8", "uint8"),
    Precision.INT8_WEIGHT: ("int8", "uint8"),
    Precision.INT4_WEIGHT: ("int4",),
}


def check_coverage(
    precision: Precision,
    weight_bytes: Mapping[str, int],
    reach: str,
    *,
    kept_weights: int = 0,
    read_by: Mapping[tuple[str, str], int] | None = None,
) -> None:
    """Refuse an artifact whose weights mostly kept their old type: quantizers skip operators silently.

    `reach` says in words which operators the runtime has at this precision; it ends the message.
    `kept_weights` is the number of weights that were kept in float on purpose: they are not asked for.
    `read_by` is the number of weights by the operator that reads them and their storage type.

    Raises:
        UnsupportedError: less than half of the other weights are stored at the precision, or less than a
            twentieth of all.
    """
    wanted = _STORED_AS.get(precision)
    if wanted is None:
        return
    counts = {name: weight_bytes.get(name, 0) * density for name, density in _DENSITY.items()}
    reached, total = sum(counts[name] for name in wanted), sum(counts.values())
    share = reached / max(1.0, total - kept_weights)
    if share < LEAST_SHARE:
        others = listed(_operators_left(read_by or {}, wanted))
        raise UnsupportedError(
            f"{precision} would reach {100 * share:.0f} % of the weights"
            f"{f', not those of {others}' if others else ''}: {reach}"
        )
    if kept_weights and reached < LEAST_LEFT * total:
        raise UnsupportedError(
            f"{precision} would be left to {100 * reached / total:.1f} % of the weights, at least "
            f"{100 * LEAST_LEFT:.0f} % are needed: too many layers are kept in float"
        )


def _operators_left(read_by: Mapping[tuple[str, str], int], wanted: Sequence[str]) -> list[str]:
    """Operators whose weights are stored otherwise, that with the most of them first."""
    counts = Counter[str]()
    for (operator, kind), count in read_by.items():
        counts[operator] += count if kind not in wanted else 0
    return sorted(filter(counts.__getitem__, counts), key=lambda name: (-counts[name], name))


def sqnr_db(reference: Array, output: Array) -> float:
    """Signal to quantization noise in dB: power of `reference` over power of the difference.

    Infinite where both are equal, not-a-number where the output is not finite.
    """
    wanted, got = reference.astype(np.float64), output.astype(np.float64)
    if not np.isfinite(got).all():
        return float("nan")
    noise, signal = float(np.sum((wanted - got) ** 2)), float(np.sum(wanted**2))
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal else float("-inf")


@dataclass(frozen=True, kw_only=True)
class AgainstFloat:
    """What a comparison with the float model has to say: `notes` with the worst figure and on channels that
    are lost beside much larger ones, and by output what is between them (see `error_of`)."""

    notes: tuple[str, ...] = ()
    errors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def check_agreement(
    source: Session, artifact: Session, batch: int, samples: CalibrationData | None
) -> tuple[str, ...]:
    """The notes of `compared`."""
    return compared(source, artifact, batch, samples).notes


def compared(source: Session, artifact: Session, batch: int, samples: CalibrationData | None) -> AgainstFloat:
    """Run both on the samples and compare all outputs by name.

    Without samples both run on made-up inputs, on which only finite outputs can be asked for. Sessions must
    take the same inputs.

    Raises:
        StageError: the artifact gives NaN or infinity where the source does not, less than `FLOOR_DB`, or of
            what differs between samples less than `VARIATION_FLOOR_DB`.
    """
    feeds = list(islice(batches(samples, batch), _MOST_FEEDS)) if samples else [made_up(source)]
    wanted, got = (_outputs(session, feeds) for session in (source, artifact))
    if len(wanted) == len(got) == 1:  # one alone may have any name
        got = dict(zip(wanted, got.values(), strict=True))
    missing = [name for name in wanted if name not in got]
    if missing:
        raise _disagrees(f"it has no output {missing[0]!r}, but {', '.join(got)}")
    found = {name: _agreement(wanted[name], got[name], name if len(wanted) > 1 else "") for name in wanted}
    if not samples:
        return AgainstFloat()
    errors = {name: error_of(wanted[name], got[name]) for name in wanted}
    worst = min(found, key=lambda name: found[name])
    sqnr, which = found[worst], f" in its output {worst}" if len(found) > 1 else ""
    if not sqnr >= FLOOR_DB:
        raise _disagrees(f"SQNR {sqnr:.1f} dB, at least {FLOOR_DB:g} is needed{which}")
    several = len(wanted) > 1
    for name in wanted:
        _check_variation(wanted[name], got[name], f" in its output {name}" if several else "")
    lost = tuple(filter(None, (lost_channels(wanted[name], got[name], name) for name in wanted)))
    if not np.isfinite(sqnr):
        return AgainstFloat(errors=errors)
    note = f"agrees with the float model to {sqnr:.1f} dB on calibration data{which}"
    return AgainstFloat(notes=(*lost, note), errors=errors)


def error_of(wanted: Array, got: Array) -> dict[str, float]:
    """How far outputs for samples (axis 0) are from those that are wanted, in the output's unit: `rms` over
    all values, and `worst` of the samples' own. Of whole numbers and flags, which are decisions, both are the
    share of values that differ."""
    exact = wanted.dtype.kind != "f"
    off = (wanted != got) if exact else (wanted.astype(np.float64) - got) ** 2
    by_sample = off.reshape(len(off), -1).mean(axis=1) if off.ndim and off.size else np.zeros(1)
    found = {"rms": float(by_sample.mean()), "worst": float(by_sample.max())}
    return found if exact else {name: float(np.sqrt(value)) for name, value in found.items()}


def _agreement(wanted: Array, got: Array, name: str) -> float:
    """SQNR of one output in dB."""
    its = f" in its output {name}" if name else ""
    if not np.isfinite(wanted).all():
        raise StageError("compile", f"the float model itself gives NaN or infinity on these inputs{its}")
    if wanted.shape != got.shape:
        raise _disagrees(f"it gives an array of shape {list(got.shape)}, not {list(wanted.shape)}{its}")
    if not np.isfinite(got).all():
        raise _disagrees(f"it gives NaN or infinity{its}")
    if wanted.dtype.kind == "f":
        return sqnr_db(wanted, got)
    # Whole numbers are decisions, say class numbers, which flip where scores are close.
    same = float((wanted == got).mean()) if wanted.size else 1.0
    if same < LEAST_SHARE:
        raise _disagrees(f"{100 * same:.0f} % of its whole numbers are the same{its}")
    return float("inf")


def _check_variation(wanted: Array, got: Array, its: str) -> None:
    """Refuse what agrees only in what all samples have in common."""
    if wanted.dtype.kind != "f" or len(wanted) < 2:
        return
    common = wanted.astype(np.float64).mean(0)
    varying = wanted - common
    if np.sum(varying**2) <= _LEAST_VARIATION * np.sum(wanted.astype(np.float64) ** 2):
        return
    sqnr = sqnr_db(varying, got - common)
    if sqnr < VARIATION_FLOOR_DB:
        raise _disagrees(
            f"SQNR {sqnr:.1f} dB of what differs between samples, at least {VARIATION_FLOOR_DB:g} is "
            f"needed{its}"
        )


def lost_channels(wanted: Array, got: Array, name: str) -> str:
    """A note on channels (the last axis, axis 1 of images) whose error is larger than themselves; empty where
    there are none. Whether they matter, the metric tells."""
    if wanted.dtype.kind != "f" or wanted.ndim < 2:
        return ""
    axis = 1 if wanted.ndim > 3 else wanted.ndim - 1
    others = tuple(a for a in range(wanted.ndim) if a != axis)
    power = np.sum(wanted.astype(np.float64) ** 2, axis=others)
    noise = np.sum((wanted.astype(np.float64) - got) ** 2, axis=others)
    lost = (noise > power) & (power > 0)
    if not lost.any():
        return ""
    smaller = np.sqrt(power.max() / power[lost].max())
    return (
        f"{int(lost.sum())} of {len(power)} channels of its output {name} are lost in rounding: they are at "
        f"least {smaller:.0f} times smaller than the largest"
    )


def _disagrees(how: str) -> StageError:
    return StageError("compile", f"artifact disagrees with the float model: {how}", disagrees=True)


def _outputs(session: Session, feeds: Sequence[Feed]) -> dict[str, Array]:
    """All outputs that hold numbers, by name (a file may also give text or sequences)."""
    runs = [session.run(feed) for feed in feeds]
    numbers = [n for n, a in runs[0].items() if isinstance(a, np.ndarray) and a.dtype.kind in "fiub"]
    return {name: np.concatenate([np.atleast_1d(run[name]) for run in runs]) for name in numbers}


def made_up(session: Session) -> dict[str, Array]:
    """Standard normal floats, and zeros for integers: zero is a token of every vocabulary."""
    return dict(_made_up_inputs(session))


def _made_up_inputs(session: Session) -> Iterator[tuple[str, Array]]:
    generator = np.random.default_rng(0)
    for spec in session.inputs:
        kind = np.dtype(spec.dtype)
        values = generator.standard_normal(spec.shape) if kind.kind == "f" else np.zeros(spec.shape)
        yield spec.name, values.astype(kind)
