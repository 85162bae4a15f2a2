"""`--tolerate` takes one value or several after one another, and nothing that is none of its own."""

import pytest
from paretune.reports.terminal.commands import Commands
from typer import Context, Typer
from typer.main import get_command


def given(*args):
    app = Typer(cls=Commands)

    @app.command()
    def other():
        pass

    @app.command()
    def regress():
        pass

    group = get_command(app)
    return group.resolve_command(Context(group), ["regress", *args])[2]


A, B = "latency 3 %", "size 0 %"


@pytest.mark.parametrize(
    ("args", "found"),
    [
        (["RUN", "--tolerate", A, B], ["RUN", "--tolerate", A, "--tolerate", B]),
        (["--tolerate", A, "RUN"], ["--tolerate", A, "RUN"]),
        (["--tolerate", A, B, "--json", "x 1 y"], ["--tolerate", A, "--tolerate", B, "--json", "x 1 y"]),
        (["RUN", A], ["RUN", A]),
        (["--tolerate"], ["--tolerate"]),
    ],
)
def test_each_tolerance_gets_its_option(args, found):
    assert given(*args) == found
