"""Titles of candidates."""

from dataclasses import replace

import pytest
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate, Recipe, Sparsity


def test_titles_tell_recipes_and_orders_apart() -> None:
    plain = Candidate(
        backend="ort", precision=Precision.INT8, student=(("width", 0.5),), sparsity="channel:0.5",
        recipe=Recipe(epochs=4),
    )  # fmt: skip
    recipes = [
        Recipe(epochs=4),
        Recipe(epochs=4, temperature=2.0),
        Recipe(epochs=4, distill_weight=0.5),
        Recipe(epochs=4, hidden_weight=0.1),
        Recipe(epochs=4, order="distill-prune-quantize"),
    ]
    titles = [replace(plain, recipe=recipe).title for recipe in recipes]
    assert len(set(titles)) == len(titles)
    assert titles[0] == "width=0.5, channel:0.5, int8, ort"
    alone = replace(plain, recipe=Recipe(epochs=4, distill_weight=0.0))
    assert alone.title == "width=0.5, channel:0.5, no teacher, int8, ort"
    assert titles[1] == "width=0.5, channel:0.5, T=2, int8, ort"
    assert titles[4] == "width=0.5, channel:0.5, distill-prune-quantize, int8, ort"


@pytest.mark.parametrize("share", ["0.5", ".25", "0.1234567", "0.99999999", "0.00001", "0.3"])
def test_a_share_of_channels_keeps_its_digits(share: str) -> None:
    made = Candidate(backend="ort", precision=Precision.FP32, sparsity=f"channel:{share}")
    assert made.sparsity == f"channel:{'0' if share[0] == '.' else ''}{share}"
    assert Sparsity.parse(made.sparsity).share == float(share)
