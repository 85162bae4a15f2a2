"""Many thousands of nights, drawn with the spread that real ones have shown, and with several times that.

A machine is what it was the night before, but for a tenth (drift); on one night of ten it is in another
state; what a night does to a ratio has heavy tails (Student's t with four degrees of freedom), and so has
what a process does. The quickest run moves by percents for reasons of its own, and typical runs take up to
twice as long.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from benchmarks.regress.trials import MEMORY_BYTES, MEMORY_SHARE, asked, night, score_of, several, shares

PROCESSES, RATIO, QUICKEST_MS = 5, 0.67, 0.25
NIGHT_SHARE, PROCESS_SHARE = 0.002, 0.003
"""Standard deviations of a ratio: between nights, and between processes of one, as real ones have shown."""
MACHINE_SHARE, OTHER_STATE = 0.015, 0.1
KEPT = 0.9
"""Of a night's deviation the next one keeps so much."""
LOST, TURNED = 0.004, 0.01
"""Of the samples an injected loss turns so many wrong; a training done anew turns as many either way."""
_HEAVY = 4
_WARM_UP = 50


def latencies(rng, count, times=1.0, processes=PROCESSES):
    """Ratios of so many nights in a row, with the spread times so much, and the quickest runs' times."""
    heavy = rng.standard_t(_HEAVY, count + _WARM_UP) / np.sqrt(_HEAVY / (_HEAVY - 2))
    drift = np.zeros(count + _WARM_UP)
    for place in range(1, len(drift)):
        drift[place] = KEPT * drift[place - 1] + np.sqrt(1 - KEPT**2) * rng.standard_normal()
    states = (rng.random(len(drift)) < OTHER_STATE) * rng.choice([-1, 1], len(drift))
    night_logs = times * NIGHT_SHARE * (0.7 * heavy + 0.5 * drift + 1.5 * states)[_WARM_UP:]
    own = rng.standard_t(_HEAVY, (count, processes)) / np.sqrt(_HEAVY / (_HEAVY - 2))
    centres = np.log(RATIO) + night_logs[:, None] + times * PROCESS_SHARE * own
    machine = MACHINE_SHARE * (drift[_WARM_UP:] + 2 * np.abs(states[_WARM_UP:]))
    return centres, QUICKEST_MS * np.exp(machine)


def nights(rng, count, times=1.0, processes=PROCESSES, samples=1000, slower=0.0):
    """Baselines of so many nights in a row of one artifact, which is `slower` by a share."""
    centres, quickest = latencies(rng, count, times, processes)
    right = rng.random(samples) < 0.9
    teacher = score_of(rng.random(samples) < 0.95)
    memory = MEMORY_BYTES * np.exp(MEMORY_SHARE * rng.standard_normal(count))
    quickest, busy = quickest * (1 + slower), 1 + rng.gamma(1.0, 0.2, count)
    spreads = times * PROCESS_SHARE * rng.standard_normal((count, processes)).std(axis=1, ddof=1)
    return [
        night(several(row + np.log1p(slower)), ms, right, bytes_, teacher, ms * typical, spread)
        for row, ms, bytes_, typical, spread in zip(centres, quickest, memory, busy, spreads, strict=True)
    ]  # fmt: skip


def latency_figures(seed, count, times, tolerances, processes=PROCESSES):
    """How often anything fails of unchanged nights, and what is found of twice the tolerance."""
    found = {}
    for tolerance in tolerances:
        rng = np.random.default_rng([seed, int(100 * times), int(100 * tolerance), processes])
        quiet = nights(rng, count + 1, times, processes)
        slow = nights(rng, count + 1, times, processes, slower=2 * tolerance / 100)
        tolerate = [f"latency {tolerance} %"]
        unchanged = [asked(then, now, tolerate) for then, now in pairwise(quiet)]
        slowed = [asked(then, now, tolerate) for then, now in zip(quiet, slow[1:], strict=False)]
        found[str(tolerance)] = {"unchanged": shares(unchanged), "slower": shares(slowed)}
    return found


def quality_figures(seed, count, sizes, tolerance=0.2):
    """The same of quality: decisions that a training done anew turns either way, and an injected loss of
    twice the tolerance, on so many samples."""
    found = {}
    for size in sizes:
        rng = np.random.default_rng([seed, size])
        trained, lost = [], []
        tolerate = [f"accuracy {tolerance} pt"]
        for _ in range(count):
            right = rng.random(size) < 0.9
            (then,) = _night_of(rng, right)
            (again,) = _night_of(rng, _turned(rng, right, TURNED, TURNED * 9))
            (worse,) = _night_of(rng, _turned(rng, right, LOST / 0.9, 0.0))
            trained.append(asked(then, again, tolerate))
            lost.append(asked(then, worse, tolerate))
        found[str(size)] = {"unchanged": shares(trained), "lost": shares(lost)}
    return found


def _turned(rng, right, wrong, better):
    """Decisions of which a share of the right ones is wrong now, and a share of the wrong ones right."""
    draws = rng.random(len(right))
    return np.where(right, draws >= wrong, draws < better)


def _night_of(rng, right):
    centres, quickest = latencies(rng, 1)
    teacher = score_of(np.ones(8, bool))
    yield night(several(centres[0]), float(quickest[0]), right, teacher=teacher)
