"""A limit, a weight or a quantity, whatever is written, is a finite number or one short message."""

import math

from fuzz.yaml_texts import NUMBERS, WORDS, visible
from hypothesis import given
from hypothesis import strategies as st
from paretune.profiles.errors import UserError
from paretune.profiles.text.units import DIMENSIONS, parse_bytes, parse_duration_s, parse_quantity
from paretune.search.record.limits import SHORT_NAMES, parse_limit, parse_reference, resolve
from paretune.search.record.metrics import METRICS

units = st.sampled_from(
    sorted({"", "m", "Gb", *(unit for kind in DIMENSIONS.values() for unit in kind.factors)})
)
numbers = st.sampled_from(NUMBERS) | st.floats().map(str) | st.decimals().map(str) | visible
amounts = st.builds("{}{}{}".format, numbers, st.sampled_from(["", " ", "\t"]), units)
metrics = st.sampled_from([*SHORT_NAMES, *METRICS, "mine", ""]) | visible
signs = st.sampled_from(["<=", ">=", "<", ">", "=", "<= <=", "≤"])
kinds = st.sampled_from(["", " absolute", " relative", " of teacher"])
rights = (
    amounts
    | st.builds("{} of teacher".format, amounts)
    | st.builds("teacher {} {}{}".format, st.sampled_from("+-*"), amounts, kinds)
)
limits = st.builds("{} {} {}".format, metrics, signs, rights) | st.text() | st.sampled_from(WORDS)
qualities = st.sampled_from(["accuracy", "rmse", "mine", "psnr"])
LONGEST = 1500


def said(read):
    """How much is said to the user; nothing where a finite number was read."""
    try:
        number = read()
    except UserError as error:
        return len(str(error))
    assert math.isfinite(number)
    return 0


@given(text=limits, quality=qualities, teacher=st.floats(0, 1))
def test_a_limit_is_a_finite_bound_or_one_short_message(text, quality, teacher):
    def bound():
        spec = parse_limit(text, quality)
        return resolve(spec, {spec.metric: teacher}).bound

    assert said(bound) < LONGEST


@given(text=amounts | st.text(), kind=st.sampled_from(sorted(DIMENSIONS)))
def test_a_quantity_is_finite_or_one_short_message(text, kind):
    for read in (parse_bytes, parse_duration_s, lambda one: parse_quantity(one, kind)):
        assert said(lambda read=read: read(text)) < LONGEST


@given(
    values=st.dictionaries(metrics, amounts | st.floats(allow_nan=False, allow_infinity=False)),
    quality=qualities,
)
def test_a_reference_is_finite_or_one_short_message(values, quality):
    def found():
        return max(parse_reference(values, quality).values(), default=0.0, key=abs)

    assert said(found) < LONGEST
