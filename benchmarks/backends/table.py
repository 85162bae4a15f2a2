"""The figures of `benchmarks.backends` as Markdown: who is best at what, ratios over models, all rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Models = Mapping[str, Mapping[str, Any]]

ALIKE = 0.99
"""The least share of samples that must get PyTorch's class, for an artifact to count as the same model."""
_BEST: Sequence[tuple[str, Callable[[Row], float], Callable[[Row], str]]] = (
    ("quickest", lambda row: row["ratio"][0], lambda row: f"{row['ratio'][0]:.2f}"),
    ("smallest", lambda row: row["size_bytes"], lambda row: _size(row["size_bytes"])),
    ("least memory", lambda row: row["memory_bytes"], lambda row: _size(row["memory_bytes"])),
    ("loaded first", lambda row: row["load_ms"], lambda row: f"{row['load_ms']:.0f} ms"),
)


def page(found: Mapping[str, Any]) -> str:
    """All tables."""
    models: Models = found["models"]
    parts = [
        _table(("", "runtime", "version", "installed"), map(_runtime, found["runtimes"].items())),
        f"Best of each model, of those that give {100 * ALIKE:.0f} % of the samples the class of PyTorch:",
        _best(models),
        "Latency over that of ONNX Runtime in fp32 (processor time in brackets); below 1 is quicker:",
        _over_models(models),
        *(part for name, one in models.items() for part in _of_model(name, one)),
        "Not offered on this device:",
        _table(
            ("backend", "precision", "reason"),
            ([r["backend"], r["what"], r["reason"]] for r in found["refused"]),
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _runtime(named: tuple[str, Mapping[str, Any]]) -> list[str]:
    name, about = named
    return [name, about["title"], about["version"], _size(about["installed_bytes"])]


def title(row: Row) -> str:
    return " ".join(filter(None, (row["backend"], row["precision"], row["variant"])))


def _measured(one: Mapping[str, Any]) -> list[Row]:
    return [row for row in one["rows"] if row["outcome"] == "measured"]


def _best(models: Models) -> str:
    return _table(
        ("model", *(name for name, _, _ in _BEST)), ([name, *_best_of(one)] for name, one in models.items())
    )


def _best_of(one: Mapping[str, Any]) -> list[str]:
    """What is least by each figure; with the quickest all those whose latency cannot be told from its."""
    alike = [row for row in _measured(one) if row["same_decisions"] >= ALIKE]
    least = [(min(alike, key=key), text) for _, key, text in _BEST]
    tied = [row for row in alike if row["ratio"][1] <= least[0][0]["ratio"][2] and row is not least[0][0]]
    cells = [f"{title(row)} ({text(row)})" for row, text in least]
    ties = ", ".join(f"{title(row)} ({row['ratio'][0]:.2f})" for row in tied)
    return [f"{cells[0]}, tied with {ties}" if ties else cells[0], *cells[1:]]


def _over_models(models: Models) -> str:
    cells = {name: {title(row): row for row in one["rows"]} for name, one in models.items()}
    titles = dict.fromkeys(name for rows in cells.values() for name in rows)
    return _table(
        ("", *models), ([name, *(_cell(cells[model].get(name)) for model in models)] for name in titles)
    )


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    if row["outcome"] != "measured":
        return str(row["outcome"])
    spent = f" ({row['cpu_ratio'][0]:.2f})" if row["cpu_ratio"] else ""
    return f"{row['ratio'][0]:.2f}{spent}"


def _of_model(name: str, one: Mapping[str, Any]) -> list[str]:
    about = one["reference"]
    apart = (
        f"; two artifacts can be told apart from {100 * about['told_apart']:.1f} % on"
        if about.get("told_apart")
        else ""
    )
    head = (
        f"**{name}**: {one['parameters']:,} parameters, {100 * one['accuracy']:.1f} % of the samples right; "
        f"ONNX Runtime in fp32 takes {1000 * about['latency_ms']:.1f} us{apart}."
    )
    columns = ("", "latency", "95 %", "processor time", "size", "memory", "load", "SQNR", "same class")
    notes = [f"- {title(row)}: {row['outcome']}: {row['reason']}" for row in one["rows"] if row["reason"]]
    notes += [f"- {title(row)}: {_facts(row['tuning'])}" for row in one["rows"] if row.get("tuning")]
    return [head, _table(columns, map(_line, _measured(one))), "\n".join(notes)]


def _facts(found: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:.4g}" for name, value in found.items() if isinstance(value, (int, float))
    )


def _line(row: Row) -> list[str]:
    value, low, high = row["ratio"]
    return [
        title(row),
        f"{value:.3f}",
        f"{low:.3f} to {high:.3f}",
        f"{row['cpu_ratio'][0]:.3f}" if row["cpu_ratio"] else "",
        _size(row["size_bytes"]),
        _size(row["memory_bytes"]),
        f"{row['load_ms']:.0f} ms",
        f"{row['sqnr_db']:.0f} dB",
        f"{100 * row['same_decisions']:.1f} %",
    ]


def _size(count: float) -> str:
    return f"{count / 1e6:.3g} MB" if count >= 1e6 else f"{count / 1e3:.3g} kB"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
