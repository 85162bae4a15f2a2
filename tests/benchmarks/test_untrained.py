"""What untrained networks of the recorded digits space tell of the trained ones."""

import csv
from pathlib import Path

import pytest
from scipy.stats import spearmanr

from benchmarks.exhaustive.told import read_untrained

TABLE = Path(__file__).parents[2] / "benchmarks" / "data" / "digits"


def by_network() -> dict[str, dict[str, str]]:
    rows = csv.DictReader((TABLE / "trainings.csv").open())
    students = [row for row in rows if row["width"]]
    return {f"depth={row['depth']} width={row['width']} {row['sparsity']}": row for row in students}


@pytest.mark.parametrize(("proxy", "least"), [("jacov", 0.4), ("nwot", 0.4), ("synflow", 0.2), ("zen", 0.1)])
def test_proxies_go_with_the_quality_of_the_trained_students(proxy, least):
    trained, told = by_network(), read_untrained(TABLE)
    assert len(trained) == 45
    assert set(trained) <= set(told)
    pairs = [(told[name].proxies[proxy], float(row["quality"])) for name, row in trained.items()]
    assert spearmanr(pairs).statistic > least
