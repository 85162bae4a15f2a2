"""The benchmark of estimates: what cells cost, a small table, and the command from end to end."""

import gzip
import itertools
import json

import numpy as np
import pytest
from paretune.backends.estimate.terms import TERMS, USUAL, terms_ms
from paretune.profiles.errors import UserError

from benchmarks.estimate import main
from benchmarks.estimate_cells import cell_cost, edges_of, read_table, recorded_devices, without_dead

WHOLE = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
DEAD = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|none~2|"


def test_cells_cost_what_their_authors_say():
    # 220.12 M multiply-adds, in "NAS-Bench-201" the largest cell there is.
    assert cell_cost(WHOLE, compiled=True).macs == pytest.approx(220.12e6, rel=0.01)


def test_what_reaches_no_output_costs_nothing_where_graphs_are_compiled():
    assert without_dead(edges_of(DEAD)) == {(0, 3): "skip_connect"}
    assert cell_cost(DEAD, compiled=True).macs < cell_cost(DEAD, compiled=False).macs


@pytest.fixture
def table(tmp_path):
    """A few cells on four devices with factors of their own."""
    operations = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    rng = np.random.default_rng(0)
    found = [rng.choice(operations, 6) for _ in range(60)]
    cells = [f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|" for a, b, c, d, e, f in found]
    columns = [cells, ["60"] * len(cells)]
    for device in recorded_devices():
        factors = np.exp(USUAL + rng.normal(0, 0.5, len(TERMS)))
        costs = [cell_cost(cell, device.compiled) for cell in cells]
        columns.append([str(terms_ms(cost, device.situation) @ factors) for cost in costs])
    names = ["arch", "cifar10_valid", *(f"latency_ms_{one.column}" for one in recorded_devices())]
    lines = [",".join(row) for row in itertools.chain([names], zip(*columns, strict=True))]
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def test_the_command_from_end_to_end(table, tmp_path, capsys):
    out = tmp_path / "figures.json"
    arguments = ["--table", str(table), "--out", str(out), "--seeds", "1", "--parts", "made-up"]
    assert main(arguments) == 0
    figures = json.loads(out.read_text())["made-up"]
    assert set(figures) == {"made up, 0 asked", "made up, 10 asked"}
    assert "covered" in capsys.readouterr().out


def test_another_table_is_refused(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="not the table"):
        read_table(path)
