"""The same samples with noise in their inputs: what a model makes of them tells how robust it is."""

from __future__ import annotations

import numpy as np

from ..record.digest import digest_of
from ..workload.workload import Array, Split

NOISE_SHARE, TOKEN_SHARE = 0.10, 0.05
VERSION, SEED = 1, 0


def noisy_split(split: Split) -> tuple[Split, str] | None:
    """The split with noise in its inputs, the same in each call, and what was done in words.

    Numbers get Gaussian noise whose standard deviation is 10 % of that of their input over the split. Where
    all inputs are integers, 5 % of the token ids are replaced by others that occur. Masks (0 and 1 only) and
    padding stay as they are. None where there is nothing that noise has a meaning for.
    """
    rng = np.random.default_rng(SEED)
    numbers = {name: array for name, array in split.inputs.items() if _is_number(array)}
    if numbers:
        changed = {name: _with_noise(array, rng) for name, array in numbers.items()}
        words = f"noise of {100 * NOISE_SHARE:g} % of each input's standard deviation"
    else:
        tokens = {name: array for name, array in split.inputs.items() if _is_tokens(array)}
        changed = {name: _with_other_tokens(array, rng) for name, array in tokens.items()}
        words = f"{100 * TOKEN_SHARE:g} % of the tokens replaced"
    if all(np.array_equal(array, split.inputs[name]) for name, array in changed.items()):
        return None
    return Split(inputs={**split.inputs, **changed}, labels=split.labels), words


def noisy_digest(digest: str) -> str:
    """Content digest of the noisy copy of a split."""
    return digest_of({"noise": VERSION, "of": digest, "shares": [NOISE_SHARE, TOKEN_SHARE], "seed": SEED})


def _is_mask(array: Array) -> bool:
    return bool(((array == 0) | (array == 1)).all())


def _is_number(array: Array) -> bool:
    """Whether values are amounts: floats, or bytes of an image, but no mask."""
    image = array.dtype in (np.uint8, np.int8) and array.ndim > 2
    return (array.dtype.kind == "f" or image) and not _is_mask(array)


def _is_tokens(array: Array) -> bool:
    return array.dtype.kind in "iu" and array.ndim == 2 and not _is_mask(array)


def _with_noise(array: Array, rng: np.random.Generator) -> Array:
    spread = NOISE_SHARE * float(np.std(array, dtype=np.float64))
    changed = array + spread * rng.standard_normal(array.shape, dtype=np.float32)
    if array.dtype.kind != "f":
        kind = np.iinfo(array.dtype)
        changed = np.clip(np.rint(changed), kind.min, kind.max)
    return np.asarray(changed.astype(array.dtype))


def _with_other_tokens(tokens: Array, rng: np.random.Generator) -> Array:
    free = ~_fixed(tokens)
    known = np.unique(tokens[free])
    if len(known) < 2:
        return tokens
    replaced = free & (rng.random(tokens.shape) < TOKEN_SHARE)
    drawn = rng.integers(0, len(known), size=tokens.shape)
    drawn += known[drawn] == tokens  # the next one stands in for a token that was drawn for itself
    return np.where(replaced, known[drawn % len(known)], tokens)


def _fixed(tokens: Array) -> Array:
    """Positions without content of their own: the most frequent id, the run of one id that a row ends with,
    and columns that are the same in all rows (a start mark)."""
    ids, counts = np.unique(tokens, return_counts=True)
    same_as_last = tokens == tokens[:, -1:]
    ending = np.flip(np.logical_and.accumulate(np.flip(same_as_last, axis=1), axis=1), axis=1)
    ending &= ending.sum(axis=1, keepdims=True) > 1
    constant = (tokens == tokens[:1]).all(axis=0)
    return np.asarray((tokens == ids[counts.argmax()]) | ending | constant)
