"""What the manifests of each stage have to say (`Entry.meta`), so that one of another version, or of nobody's
making, is told from ours when it is read, and not where a number of it is missing.

A shape answers where a value misfits ("" where it fits), given the value, its place and the entry's files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

Shape = Callable[[Any, str, Collection[str]], str]

_MOST = 2**63


def misfit(stage: str, manifest: Any) -> str:
    """What the manifest of a stage's entry fails to say (".meta.quality.validation"); empty where it says
    all. Of stages that are not known here any `meta` will do."""
    wrong = _ENTRY(manifest, "", ())
    return wrong or _SAID.get(stage, _ANYTHING)(manifest["meta"], ".meta", manifest["files"])


def _is(fits: Callable[[Any], bool]) -> Shape:
    return lambda value, place, files: "" if fits(value) else place


_text = _is(lambda value: isinstance(value, str))
_whole = _is(lambda value: type(value) is int and abs(value) < _MOST)
_count = _is(lambda value: type(value) is int and 0 <= value < _MOST)
_number = _is(lambda value: type(value) in (int, float) and abs(value) < _MOST)
_flag = _is(lambda value: isinstance(value, bool))


def _file(value: Any, place: str, files: Collection[str]) -> str:
    return "" if isinstance(value, str) and value in files else place


def _no_or(shape: Shape) -> Shape:
    """None or "" in place of a value."""
    return lambda value, place, files: "" if value is None or value == "" else shape(value, place, files)


def _many(shape: Shape) -> Shape:
    def fits(value: Any, place: str, files: Collection[str]) -> str:
        if not isinstance(value, list):
            return place
        return next(filter(None, (shape(item, f"{place}[{n}]", files) for n, item in enumerate(value))), "")

    return fits


def _pair(first: Shape, second: Shape) -> Shape:
    def fits(value: Any, place: str, files: Collection[str]) -> str:
        if not isinstance(value, list) or len(value) != 2:
            return place
        return first(value[0], place, files) or second(value[1], place, files)

    return fits


def _each(shape: Shape) -> Shape:
    """A mapping from any names."""

    def fits(value: Any, place: str, files: Collection[str]) -> str:
        if not isinstance(value, Mapping):
            return place
        return next(filter(None, (shape(item, f"{place}.{name}", files) for name, item in value.items())), "")

    return fits


def _record(needed: Mapping[str, Shape], **optional: Shape) -> Shape:
    """A mapping with these names, and perhaps others."""

    def fits(value: Any, place: str, files: Collection[str]) -> str:
        if not isinstance(value, Mapping):
            return place
        if missing := [name for name in needed if name not in value]:
            return f"{place}.{missing[0]}"
        asked = {name: shape for name, shape in {**needed, **optional}.items() if name in value}
        found = (shape(value[name], f"{place}.{name}", files) for name, shape in asked.items())
        return next(filter(None, found), "")

    return fits


_ANYTHING = _record({})
_ENTRY = _record(
    {
        "files": _each(_record({"sha256": _text, "size_bytes": _count})),
        "meta": _ANYTHING,
        "provenance": _ANYTHING,
        "seconds": _number,
    }
)
_NOTES: Mapping[str, Shape] = {"notes": _many(_text), "remarks": _many(_text)}
_QUALITY: Mapping[str, Shape] = {"quality": _record({"validation": _number})}
_TRAINED = _record(
    {**_QUALITY, "parameters": _count, "macs": _count},
    curve=_many(_pair(_count, _number)),
    earlier_seconds=_number,
    zeros=_each(_number),
    **_NOTES,
)
_SIGNATURE = _many(_record({"name": _text, "dtype": _text, "shape": _many(_whole)}))
_ARTIFACT = _record(
    {"size_bytes": _count, "weight_bytes": _each(_count), "notes": _many(_text), "versions": _each(_text)},
    stored_as=_each(_text),
    zero_share=_no_or(_number),
    errors=_each(_each(_number)),
)
_FACT = _is(lambda value: isinstance(value, str) or _number(value, "!", ()) == "")
_PROCESS = ("base", *(f"{phase}_{of}" for phase in ("load", "first", "steady") for of in ("peak", "held")))
_MEMORY = _record(dict.fromkeys(_PROCESS, _count), apart=_flag, mapped=_count)
_KIND = _is(lambda value: value in ("hits", "draws"))
_SAMPLES = _record({"samples": _text, "kind": _KIND, "count": _count, "data": _text})
_SHARE = _is(lambda value: type(value) in (int, float) and 0 <= value <= 1)
_PLACE = {"kernel": _text, "place": _text, "intended": _flag, "share_of_time": _no_or(_SHARE)}
_NODES = _many(_record({"name": _text, "op": _text, "reason": _text, **_PLACE}))
_PLACED = _record(
    {
        "intended": _text,
        **dict.fromkeys(("nodes", "as_meant"), _count),
        "share_of_time": _no_or(_SHARE),
        **dict.fromkeys(("others", "slowest"), _NODES),
        "groups": _many(_record({"nodes": _count, **_PLACE})),
    }
)
_SAID: Mapping[str, Shape] = {
    **dict.fromkeys(("teacher", "distill", "prune", "qat"), _TRAINED),
    "soft-targets": _record({}, **_NOTES),
    "export": _record({"file": _file, "format": _text}),
    "check": _record(_QUALITY),
    "make": _record({"file": _file}),
    "compile": _record(
        {"file": _file, "artifact": _ARTIFACT, "inputs": _SIGNATURE, "outputs": _SIGNATURE},
        sample=_no_or(_file),
        expected=_no_or(_file),
        batch=_count,
        threads=_count,
        compressed_bytes=_count,
    ),
    "tune": _record(
        {
            "facts": _each(_FACT),
            "seconds": _number,
            "note": _text,
            "digest": _text,
            "budget": _record({"trials": _count, "seconds": _number}),
        }
    ),
    "measure": _record(
        {"load_ms": _number, "first_inference_ms": _number, "memory_bytes": _number},
        phases=_MEMORY,
        device=_text,
    ),
    "memory": _record(
        {},
        processes=_many(_MEMORY),
        runs=_count,
        settled=_flag,
        growth_bytes=_number,
    ),
    "sustained": _record({"asked": _ANYTHING, "setting": _ANYTHING, "found": _ANYTHING}),
    "runtime": _record({"imported": _count, "empty": _each(_count)}),
    "score": _record(
        {
            "value": _number,
            "low": _no_or(_number),
            "high": _no_or(_number),
            "samples": _count,
            "by_sample": _no_or(_SAMPLES),
        }
    ),
    "samples": _record(
        {
            "file": _file,
            "count": _count,
            "outputs": _many(_text),
            "primary": _text,
            "scored": _many(_text),
            "as_array": _flag,
            "codes": _each(_pair(_number, _whole)),
            "quality": _no_or(_record({"value": _number}, low=_no_or(_number), high=_no_or(_number))),
            "metric": _text,
            "by": _text,
            "higher_is_better": _flag,
        },
        monitor=_no_or(_file),
    ),
    "proxies": _record({"proxies": _each(_number)}),
    "spread": _record({"cores": _many(_count)}),
    "here": _record({"file": _file}),
    "placement": _record({"placed": _no_or(_PLACED)}),
    "agree": _record(
        {"agrees": _flag, "output": _text, "samples": _count},
        **dict.fromkeys(("off", "allowed", "worst", "worst_allowed"), _number),
        own=_no_or(_number),
        flipped=_no_or(_count),
        **dict.fromkeys(("here", "there"), _each(_text)),
        **dict.fromkeys(("device", "why", "known", "against"), _text),
    ),
}
