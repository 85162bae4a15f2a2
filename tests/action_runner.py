"""Runs the `run:` steps of a composite GitHub action in a shell as the runner does: expressions are evaluated
into variables, each step has its own GITHUB_OUTPUT and GITHUB_STEP_SUMMARY, and a step whose condition does
not hold is left out."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CI = Path(__file__).resolve().parents[1] / "ci"
_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def action() -> dict[str, Any]:
    """The action as its file says."""
    return dict(yaml.safe_load((CI / "action.yml").read_text()))


@dataclass
class ActionRun:
    """One use of the action with these inputs in a folder. `codes` are the exit codes of its `run:` steps by
    their names, `summary` what stands in the summary of the job, `said` what the steps wrote."""

    root: Path
    inputs: Mapping[str, str]
    variables: Mapping[str, str] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    summary: str = ""
    said: str = ""

    def __post_init__(self) -> None:
        declared = action()["inputs"]
        given = {name: str(one.get("default", "")) for name, one in declared.items()}
        self._given = given | dict(self.inputs)

    def run(self) -> ActionRun:
        """All steps, in order; after one that fails, only those that run in any case."""
        failed = False
        for step in action()["runs"]["steps"]:
            if "run" in step and self._wanted(step.get("if", ""), failed=failed):
                failed = self._step(step) != 0 or failed
        return self

    @property
    def code(self) -> int:
        """What the build gets: the first that is not 0."""
        return next((code for code in self.codes.values() if code), 0)

    def output(self, name: str) -> str:
        """An output of the action."""
        return self._evaluated(action()["outputs"][name]["value"])

    def _wanted(self, condition: str, *, failed: bool) -> bool:
        if not condition:
            return not failed
        inner = _EXPRESSION.sub(r"\1", condition)
        parts = [part.strip() for part in inner.split("&&")]
        assert parts[0] == "always()"
        return all(self._value(part.split(" != ")[0]) != "" for part in parts[1:])

    def _step(self, step: Mapping[str, Any]) -> int:
        files = {name: self.root / f".{name}" for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for path in files.values():
            path.write_text("")
        variables = {name: self._evaluated(str(value)) for name, value in step.get("env", {}).items()}
        folder = self.root / self._evaluated(step.get("working-directory", "."))
        script = self.root / ".step.sh"
        script.write_text(step["run"])
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=folder,
            env={
                **os.environ, "GITHUB_ACTIONS": "true", "GITHUB_ACTION_PATH": str(CI),
                **{name: str(path) for name, path in files.items()}, **self.variables, **variables,
            },
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )  # fmt: skip
        self.codes[step["name"]] = done.returncode
        self.summary += files["GITHUB_STEP_SUMMARY"].read_text()
        self.said += done.stdout + done.stderr
        if "id" in step:
            self.outputs[step["id"]] = _outputs(files["GITHUB_OUTPUT"].read_text())
        return done.returncode

    def _evaluated(self, text: str) -> str:
        return _EXPRESSION.sub(lambda match: self._value(match[1]), text)

    def _value(self, expression: str) -> str:
        match expression.split("."):
            case ["inputs", name]:
                return self._given[name]
            case ["steps", step, "outputs", name]:
                return self.outputs.get(step, {}).get(name, "")
        raise AssertionError(expression)


def _outputs(text: str) -> dict[str, str]:
    """The format of GITHUB_OUTPUT: `name=value`, or `name<<END`, lines, `END`."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, _, end = line.partition("<<")
        if "=" not in name and end:
            found[name] = "\n".join(iter(lambda: next(lines), end))
        else:
            name, _, value = line.partition("=")
            found[name] = value
    return found
