"""The GitHub action and the GitLab template: what they are made of, and how a night's end is a build's."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from action_runner import CI, ActionRun, action

FAKE = """#!/usr/bin/env bash
[ "$1" = --version ] && exit 0
printf '%s\\n' "$@" > told.txt
while [ $# -gt 0 ]; do
  case $1 in
    --junit) echo '<testsuites/>' > "$2" ;;
    --summary) echo '# A night' > "$2" ;;
    --json) [ -n "${SILENT:-}" ] || echo '{}' > "$2" ;;
  esac
  shift
done
exit ${ENDS:-0}
"""


@pytest.fixture
def fake(tmp_path: Path) -> dict[str, str]:
    """Variables with which `paretune` is a script that notes its arguments and ends as it is told."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "paretune").write_text(FAKE)
    (tmp_path / "bin" / "paretune").chmod(0o755)
    return {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}


# What the platforms define: "Metadata syntax for GitHub Actions", "CI/CD YAML syntax" of their documentation.
STEP_KEYS = {
    "run",
    "shell",
    "if",
    "name",
    "id",
    "env",
    "working-directory",
    "uses",
    "with",
    "continue-on-error",
}
JOB_KEYS = {
    "stage", "image", "variables", "rules", "resource_group", "interruptible", "allow_failure", "cache",
    "before_script", "script", "artifacts",
}  # fmt: skip


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    else:
        yield str(value)


def test_the_action_is_made_of_what_github_defines() -> None:
    found = action()
    assert set(found) <= {"name", "author", "description", "inputs", "outputs", "runs", "branding"}
    assert set(found["runs"]) == {"using", "steps"}
    assert found["runs"]["using"] == "composite"
    for one in found["inputs"].values():
        assert set(one) <= {"description", "required", "default"}
        assert one.get("required") or isinstance(one["default"], str)
    for one in found["outputs"].values():
        assert set(one) == {"description", "value"}
    for step in found["runs"]["steps"]:
        assert set(step) <= STEP_KEYS
        assert ("run" in step) != ("uses" in step)
        assert "shell" in step or "uses" in step


def test_expressions_name_what_is_there_and_never_become_commands() -> None:
    found, seen = action(), set[str]()
    for step in found["runs"]["steps"]:
        assert "${{" not in step.get("run", "")  # a text of a user would be code
        for name in re.findall(r"inputs\.([\w-]+)", " ".join(texts(step))):
            assert name in found["inputs"]
        for name in re.findall(r"steps\.([\w-]+)\.", " ".join(texts(step))):
            assert name in seen
        seen.add(step.get("id", ""))
    for one in found["outputs"].values():
        assert re.findall(r"steps\.([\w-]+)\.", one["value"])[0] in seen


def test_each_action_that_is_used_is_pinned_to_a_version() -> None:
    used = [step["uses"] for step in action()["runs"]["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[\w/-]+@v\d+", one) for one in used)


@pytest.mark.parametrize(
    ("ends", "code", "verdict"), [(0, 0, "fine"), (2, 2, "regression"), (3, 0, "unmet"), (1, 0, "look")]
)
def test_the_build_fails_on_a_regression_and_only_then(
    tmp_path: Path, fake: dict[str, str], ends: int, code: int, verdict: str
) -> None:
    done = ActionRun(tmp_path, {"study": "study.yaml"}, {**fake, "ENDS": str(ends)}).run()
    assert (done.code, done.output("verdict"), done.output("exit-code")) == (code, verdict, str(ends))
    assert done.codes["Night"] == 0  # what was found is kept before the build fails
    assert ("::error" in done.said) == (verdict == "regression")
    assert done.summary == "# A night\n"
    assert Path(done.output("junit")).read_text() == "<testsuites/>\n"


@pytest.mark.parametrize(
    ("ends", "fail_on", "code"),
    [
        (130, "", 0),
        (137, "", 0),
        (3, "unmet", 3),
        (1, "any", 1),
        (130, "any", 130),
        (2, "never", 0),
        (2, "?", 2),
    ],
)
def test_what_else_fails_the_build_is_asked_for(
    tmp_path: Path, fake: dict[str, str], ends: int, fail_on: str, code: int
) -> None:
    told = {"PARETUNE_STUDY": "s.yaml", "PARETUNE_FAIL_ON": fail_on, "ENDS": str(ends)}
    done = subprocess.run(
        ["bash", CI / "nightly.sh"], cwd=tmp_path, env={**os.environ, **fake, **told}, check=False
    )
    assert done.returncode == code


def test_a_regression_without_a_record_of_it_is_none(tmp_path: Path, fake: dict[str, str]) -> None:
    done = ActionRun(tmp_path, {"study": "s.yaml"}, {**fake, "ENDS": "2", "SILENT": "yes"}).run()
    assert (done.code, done.output("verdict")) == (0, "look")


def test_inputs_arrive_as_they_are_and_run_nothing(tmp_path: Path, fake: dict[str, str]) -> None:
    evil = '$(touch owned) `touch owned` "; touch owned; "'
    (tmp_path / "sub dir").mkdir()
    inputs = {
        "study": f"{evil}.yaml", "tolerate": "latency 3 %\r\naccuracy 0.2 pt\n", "deployed": evil,
        "working-directory": "sub dir", "accept": "true", "against": "", "within": "4 h",
    }  # fmt: skip
    ActionRun(tmp_path, inputs, fake).run()
    told = (tmp_path / "sub dir" / "told.txt").read_text().splitlines()
    assert told[:2] == ["nightly", f"{evil}.yaml"]
    assert told[2 : told.index("--junit")] == [
        "--deployed", evil, "--within", "4 h", "--tolerate", "latency 3 %", "--tolerate", "accuracy 0.2 pt",
        "--accept",
    ]  # fmt: skip
    assert not list(tmp_path.rglob("owned"))


def test_what_is_kept_from_night_to_night_is_named_by_whole_paths(
    tmp_path: Path, fake: dict[str, str]
) -> None:
    (tmp_path / "sub").mkdir()
    done = ActionRun(tmp_path, {"study": "s.yaml", "working-directory": "sub"}, fake).run()
    root = (tmp_path / "sub").resolve()
    assert done.outputs["paths"]["kept"].splitlines() == [
        str(root / n) for n in (".paretune", "runs", "nights")
    ]


def gitlab() -> dict[str, Any]:
    return dict(yaml.safe_load((CI / "gitlab.yml").read_text())[".paretune-nightly"])


def test_the_template_is_made_of_what_gitlab_defines() -> None:
    job = gitlab()
    assert set(job) <= JOB_KEYS
    assert set(job["cache"]) <= {"key", "paths", "when", "policy", "untracked"}
    assert set(job["artifacts"]) <= {"when", "expire_in", "paths", "reports", "name"}
    assert job["artifacts"]["reports"] == {"junit": "paretune-night/junit.xml"}
    assert job["artifacts"]["when"] == job["cache"]["when"] == "always"  # also of a night that failed
    assert all(isinstance(value, str) for value in job["variables"].values())
    assert all(set(rule) <= {"if", "when", "allow_failure"} for rule in job["rules"])


def test_only_a_regression_fails_the_pipeline() -> None:
    assert set(gitlab()["allow_failure"]["exit_codes"]) == {1, 3, 130}


def run_job(folder: Path, **variables: str) -> int:
    """The job's scripts as GitLab's runner runs them: one shell, ended by the first command that fails."""
    job = gitlab()
    script = "\n".join(("set -eo pipefail", *job["before_script"], *job["script"]))
    told = {name: value for name, value in job["variables"].items() if "$" not in value}
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env={**os.environ, **told, **variables}, timeout=280, check=False
    ).returncode


@pytest.mark.parametrize("ends", ["0", "2", "130"])
def test_the_jobs_end_is_that_of_the_night(tmp_path: Path, fake: dict[str, str], ends: str) -> None:
    tolerated = "latency 3 %\naccuracy 0.2 pt\n$(touch owned)"
    assert run_job(tmp_path, **fake, ENDS=ends, PARETUNE_TOLERATE=tolerated) == int(ends)
    told = (tmp_path / "told.txt").read_text().splitlines()
    assert told[: told.index("--tolerate")] == [
        "nightly", "study.yaml", "--into", "nights/paretune", "--against", "good", "--within", "50 min",
    ]  # fmt: skip
    assert [told[n + 1] for n, text in enumerate(told) if text == "--tolerate"] == tolerated.split("\n")
    assert (tmp_path / "paretune-night" / "junit.xml").exists()
    assert not (tmp_path / "owned").exists()
