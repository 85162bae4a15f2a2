"""Where finalists run, in a report, in explain and in the answer's warnings."""

from dataclasses import replace

from paretune.reports.content.placement import placement_lines, placement_section, placement_table
from paretune.reports.content.views import DASH
from paretune.reports.pages.explain import explain
from paretune.search.ranking.fallbacks import fallback_warnings
from paretune.search.ranking.reading import read
from paretune.search.record.deployed import Deployed
from paretune.search.record.placed import PlacedNode, placed


def node(name, op="Conv", reason="", share=None):
    return PlacedNode(
        name=name,
        op=op,
        kernel=f"{op} (float)",
        place="CPU",
        intended=not reason,
        reason=reason,
        share_of_time=share,
    )


FALLS = placed("XNNPACK", [node("a", share=0.5), *(node(f"s{i}", "CumSum", "no kernel", 0.25) for i in "12")])
WHOLE = placed("XNNPACK", [node("a"), node("b")])


def reading_of(study, *told):
    """The study, with what its finalists tell of where they run, in their order."""
    finalists = [
        replace(one, deployed=deployed) for one, deployed in zip(study.finalists, told, strict=False)
    ]
    return read(replace(study, finalists=(*finalists, *study.finalists[len(finalists) :])))


def test_a_section_is_there_where_a_runtime_has_told(study):
    assert placement_section(read(study)) is None
    untold = Deployed(untold={"delegated": "Apache TVM does not tell which kernels run"})
    found = placement_section(reading_of(study, Deployed(placed=FALLS), Deployed(placed=WHOLE), untold))
    by_number = {row.number: [cell.text for cell in row.cells] for row in found.rows}
    first, second, third = (one.number for one in study.finalists[:3])
    assert by_number[first] == ["3", "33.3 %", "50 %", "XNNPACK", "Conv (50 %)"]
    assert by_number[second][:3] == ["2", "100 %", DASH]
    assert third not in by_number
    (falls,) = [line for line in found.lines if line.startswith(f"#{first}:")]
    assert "2 x CumSum" in falls
    assert "50 % of the time" in falls
    assert any(line.startswith(f"#{third}:") and "TVM" in line for line in found.lines)


def test_one_trial_is_explained_with_its_kernels(study):
    first = study.finalists[0].number
    reading = reading_of(study, Deployed(placed=FALLS))
    head, falls = placement_lines(reading.record, first)
    assert head.startswith("1 of 3 nodes")
    assert "no kernel" in falls
    assert "| CumSum (float) | CPU | 2 | 50 % | no |" in placement_table(reading.record, first)
    assert "## Where it runs" in explain(reading, first)
    assert "## Where it runs" not in explain(read(study), first)


def test_the_answer_warns_of_what_falls_back_unless_it_takes_no_time(study):
    first = study.finalists[0].number
    (said,) = fallback_warnings(reading_of(study, Deployed(placed=FALLS)).record, first)
    assert "2 of 3 nodes" in said
    assert "2 x CumSum" in said
    assert fallback_warnings(reading_of(study, Deployed(placed=WHOLE)).record, first) == ()
    trifle = placed("k", [node("a", share=0.99), node("b", "Cast", "no kernel", 0.01)])
    assert fallback_warnings(reading_of(study, Deployed(placed=trifle)).record, first) == ()
    assert fallback_warnings(study, None) == ()


def test_not_all_is_never_rounded_to_all(study):
    many = placed("k", [node(str(i)) for i in range(1999)] + [node("last", "Cast", "no kernel")])
    found = placement_section(reading_of(study, Deployed(placed=many)))
    assert found.rows[0].cells[1].text == "99.9 %"
