"""The tour of the documentation, run as its reader runs it; each output is what a notebook shows."""

import base64
import json
import os
import re
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import paretune
import pytest
from nbclient import NotebookClient

TOUR = Path(paretune.__file__).resolve().parent / "docs" / "tour.ipynb"
SMALL = 200_000

pytestmark = pytest.mark.slow  # runs a study


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Outputs by the first line of their cells."""
    notebook = nbformat.read(TOUR, as_version=4)
    place = str(tmp_path_factory.mktemp("tour"))
    client = NotebookClient(
        notebook, timeout=280, kernel_name="python3", resources={"metadata": {"path": place}}
    )
    client.execute(env={**os.environ, "TMPDIR": place})
    return {cell.source.splitlines()[0]: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}


def html(ran, cell):
    return ran[cell][-1].data["text/html"]


def test_every_cell_ran_and_the_outputs_are_small_and_need_no_script(ran):
    texts = [json.dumps(output) for outputs in ran.values() for output in outputs]
    assert sum(map(len, texts)) < SMALL
    assert not any("<script" in text or "http-equiv" in text for text in texts)
    assert not any(output.output_type == "error" for outputs in ran.values() for output in outputs)


def test_the_run_shows_its_answer_the_front_and_a_table(ran):
    shown = html(ran, 'run = paretune.run("study.yaml")')
    (picture,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', shown)
    drawn = ElementTree.fromstring(base64.b64decode(picture))
    assert drawn.tag.endswith("svg")
    texts = " ".join(element.text or "" for element in drawn.iter())
    assert "Accuracy on validation" in texts
    assert "recommended" in texts
    assert shown.count("<tr>") == 1 + 3


def test_progress_leaves_one_line(ran):
    (line,) = [o for o in ran['run = paretune.run("study.yaml")'] if o.output_type == "display_data"]
    assert re.search(r">3 candidates, [^<]*</pre>", line.data["text/html"])
    assert [o.output_type for o in ran['run = paretune.run("study.yaml")']] == [
        "display_data",
        "execute_result",
    ]


def test_verdict_front_table_and_another_choice_show_themselves(ran):
    assert "<strong>" in html(ran, "run.verdict")
    assert "data:image/svg+xml" in html(ran, "run.front")
    assert "<td>complete</td>" in html(ran, next(cell for cell in ran if cell.startswith("run.table")))
    assert "<strong>" in html(ran, 'smaller = run.choose("size <= 20 kB", prefer={"size": 3})')
    assert ran["run.explain()"][0].data["text/markdown"].startswith("# Trial ")


def test_the_bundle_was_verified_and_pushed_to_a_folder(ran):
    checked = ran["paretune.verify(run)"][-1].data
    assert checked["text/plain"].startswith("<PASSED")
    assert checked["text/html"].count("<tr") > 4
    pushed = next(outputs for cell, outputs in ran.items() if "paretune.push" in cell)[0].text
    assert "for-the-hub" in pushed
    assert "license: mit" in pushed


def test_an_error_says_what_is_accepted(ran):
    said = ran["try:"][0].text
    assert "unknown metric 'speed'" in said
    assert "latency" in said.partition("accepted: ")[2]
