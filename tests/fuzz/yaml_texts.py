"""YAML as nobody should write it: pieces, valid files with damage in their text, valid values with others."""

from __future__ import annotations

import copy
import json

from hypothesis import strategies as st

# fmt: off
NUMBERS = [
    "0", "-0.0", "5", "8.65", "1e3", "1e400", "1e-400", "-1", "017", "0o17", "1_000", "12:30:45",
    ".inf", ".nan", "9223372036854775808", "0x1f", "1.", "+.5", "2024-02-31", "2:4", "3.00000001",
    "9" * 5000,
]
WORDS = [
    "yes", "off", "null", "~", "", " ", "-", "..", "a/../b", "~/x", "~nobody/x", "/dev/zero", "a\\b",
    "host", "never", "int8", "fp32", "dense", "channel:0.5", "channel:1e-9", "module:Class", "..x:y",
    "a.py:b", "5 ms", "5 parsec", "98 %", "1 pt", "1e300 d", "-5 kB", "1.5 B", "\u0663 ms", "latency",
    "accuracy", "[::1]", "latency <= 5 ms", "accuracy >= teacher - 1 pt absolute",
    "latency <= 0 % of teacher", "size > nan kB", "x" * 300,
]
MARKS = [
    ": ", "- ", ", ", "[", "]", "{", "}", "&a ", "*a", "<<: *a", "? ", "! ", "!!int ", "!!binary ",
    "!own ", "|", ">-", "'", '"', "#", "%YAML 1.2", "---", "...", "\n", "\n  ", "\t", "\r", "\x00",
    "\x85", "\u2028", "\ufeff", '"\\0"', '"\\ud800"', '"\\U99999999"', "!<%zz> ", "\xe9", "\U0001f600",
    "[" * 50, "- " * 50, "{a: " * 50,
]
# fmt: on

visible = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
pieces = st.sampled_from(NUMBERS + WORDS + MARKS) | visible
hostile = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-3, 70),
    st.floats(),
    st.floats(-2, 2),
    st.sampled_from(NUMBERS + WORDS),
    visible,
    st.text(max_size=4),
    st.sampled_from([10**30, -(2**63), 2**63, 10**6, 1e308, 5e-324, float("inf")]),
)
values = st.recursive(
    hostile,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=6,
)


def mostly(*accepted, odd=()):
    """One of the strategies or values; now and then an odd one, or anything."""
    accepted = [one if isinstance(one, st.SearchStrategy) else st.just(one) for one in accepted]
    rare = st.sampled_from(odd) | values if odd else values
    return st.integers(0, 60).flatmap(lambda n: rare if n in (23, 37) else st.one_of(*accepted))


def some(*accepted):
    """One value, or a list of a few."""
    one = mostly(*accepted)
    return one | st.lists(one, min_size=1, max_size=3)


def section(required=None, **keys):
    """A mapping with the required keys and some of the others."""
    return mostly(st.fixed_dictionaries(required or {}, optional=keys))


def written(data):
    """As JSON, which YAML's readers take; what it cannot hold is written as YAML has it."""
    text = json.dumps(data, ensure_ascii=False)
    for breaking in "\x85\u2028\u2029":  # ends of lines for YAML, characters for JSON
        text = text.replace(breaking, f"\\u{ord(breaking):04x}")
    return text.replace("Infinity", ".inf").replace("NaN", ".nan")


@st.composite
def changed(draw, valid, most):
    """A valid value with some of its parts at any depth replaced, removed, renamed or added to."""
    data = copy.deepcopy(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, most))):
        holder, keys = data, list(data)
        while keys:
            key = draw(st.sampled_from(keys))
            inner = holder[key]
            if not isinstance(inner, dict | list) or not inner or draw(st.integers(0, 3)) == 0:
                break
            holder, keys = inner, list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        if not keys:
            continue
        act = draw(st.sampled_from(["replace", "replace", "remove", "rename", "add", "wrap"]))
        if act == "remove":
            del holder[key]
        elif act == "wrap":
            holder[key] = [holder[key]] if draw(st.booleans()) else {"value": holder[key]}
        elif isinstance(holder, dict) and act == "rename":
            holder[draw(st.sampled_from(WORDS) | st.text(max_size=6))] = holder.pop(key)
        elif isinstance(holder, list) and act == "add":
            holder.insert(key, draw(values))
        else:
            holder[key] = draw(values)
    return data


@st.composite
def damaged(draw, texts):
    """A valid text with some places cut out, doubled or overwritten by pieces."""
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        put = draw(pieces | st.just(text[start:end] * 2))
        text = text[:start] + put + text[end:]
    return text


def contents(valid_texts, valid_values, grammar):
    """Bytes of files: any at all, soups of pieces, damaged texts, changed values, a grammar."""
    keys = st.sampled_from(sorted({key for value in valid_values for key in value}))
    soup = st.lists(pieces | keys, max_size=25).map("".join)
    whole = grammar.map(written)
    near = [changed(valid_values, most=n).map(written) for n in (1, 3)] + [damaged(valid_texts)]
    texts = st.one_of(st.text(max_size=60), soup, *near, *[whole] * 4)
    return st.binary(max_size=80) | texts.map(lambda text: text.encode("utf-8", "surrogatepass"))


def is_one_message(text):
    """Whether a text of several lines shows all that it holds, and can be read."""
    shown = text.translate(dict.fromkeys(map(ord, "\n\xa0\u202f"), " "))
    return shown.isprintable() and len(text) < 20_000
