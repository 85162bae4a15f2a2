"""A run as a value, and the calls that give one."""

import inspect
import json
import subprocess
import sys
from dataclasses import FrozenInstanceError

import paretune
import pytest
import typer
from paretune.cli import app
from paretune.reports.api.runs import Run
from paretune.reports.notebook.values import ChecksMade
from paretune.search.ranking.reading import read
from paretune.search.record.checks import CHECKED, Checked, CheckOutcome, MetricCheck

ELSEWHERE = {"backends": "runtimes"}
"""Commands whose name is that of a package."""


@pytest.fixture
def run(study, tmp_path):
    return Run(path=tmp_path, folder=tmp_path, reading=read(study))


def commands():
    """Each command of the command line, as the attributes that lead to its call."""
    root = typer.main.get_command(app)
    for name, command in root.commands.items():
        subcommands = getattr(command, "commands", None) or {}
        yield from ([name, other] for other in subcommands) if subcommands else [[name]]


@pytest.mark.parametrize("path", commands(), ids=".".join)
def test_every_command_has_a_call_of_its_name(path):
    found = paretune
    for name in path:
        found = getattr(found, ELSEWHERE.get(name, name))
    assert callable(found)
    signature = inspect.signature(found)
    assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())
    assert signature.return_annotation is not inspect.Signature.empty


def test_the_table_is_a_row_for_each_trial_and_the_front_a_part_of_it(run):
    table, front = run.table, run.front
    assert list(table["trial"]) == [trial.number for trial in run.record.trials]
    on_front = [entry.number for entry in front]
    assert list(front.table["trial"]) == on_front
    assert len(front) == len(on_front) == int(table["front"].fillna(False).sum())
    best = table.set_index("trial").loc[run.recommended]
    assert best["test_accuracy"] == run.reading.recommended.metrics["accuracy"].value


def test_another_choice_is_a_run_of_its_own_with_its_verdict(run):
    other = run.choose("latency <= 1 us", {"latency": 2})
    assert other.verdict.exit_code == 2
    assert run.verdict.exit_code == 0
    assert other.reading.ranking.weights["latency_ms"] == 2
    assert other.record is run.record
    with pytest.raises(paretune.UserError, match="unknown metric"):
        run.choose(["speed <= 1 ms"])


def test_it_cannot_be_changed_and_tells_itself_in_a_line(run):
    with pytest.raises(FrozenInstanceError):
        run.folder = "elsewhere"
    for shown in (run, run.front, run.verdict):
        assert "\n" not in repr(shown)
        assert len(repr(shown)) < 300


def test_what_is_asked_of_no_trial_is_asked_of_the_recommended_one(run, study, impossible, tmp_path):
    assert run.explain() == run.explain(run.recommended)
    assert run.explain().startswith(f"# Trial {run.recommended}")
    with pytest.raises(paretune.UserError, match="no trial"):
        run.explain(999)
    nothing = Run(path=tmp_path, folder=tmp_path, reading=read(replace_trials(study)))
    with pytest.raises(paretune.UserError, match="no candidate is recommended"):
        nothing.export()
    with pytest.raises(paretune.UserError, match="no bundle"):
        _ = run.shipped


def replace_trials(study):
    from dataclasses import replace

    return replace(study, trials=(), finalists=(), baseline=None)


def test_the_report_is_written_and_leads_nowhere_else(run):
    paths = run.report()
    own = json.loads(paths.json.read_text())
    assert own["verdict"]["recommended"] == run.recommended
    run.choose("size <= 1 B").report()
    assert json.loads(paths.json.read_text())["verdict"] == own["verdict"], "the study's own report stays"


def test_checks_stay_what_they_are_and_show_a_table():
    check = MetricCheck(subject="<b>", metric="latency_ms", outcome=CheckOutcome.FAILED, reason="slower")
    checked = Checked(of="one", against="other", checks=(check,))
    made = ChecksMade.made_of(checked)
    assert isinstance(made, Checked)
    assert (made.exit_code, made.checks) == (checked.exit_code, checked.checks)
    assert CHECKED.dump_json(made) == CHECKED.dump_json(checked)
    assert "<table" in made._repr_html_()
    assert "<b>" not in made._repr_html_()
    assert repr(made).startswith("<FAILED")


def test_names_are_listed_and_loaded_late():
    code = "import paretune, sys; print(*dir(paretune)); print(*sys.modules)"
    names, loaded = subprocess.check_output([sys.executable, "-c", code], text=True, cwd="/").splitlines()
    assert set(paretune.__all__) <= set(names.split())
    assert not {"torch", "pandas", "optuna", "pydantic"} & set(loaded.split())


def test_an_error_in_a_notebook_is_its_message():
    error = paretune.UserError("wrong", place="here", remedy="mend it")
    assert error._render_traceback_() == [f"UserError: {error}"]
