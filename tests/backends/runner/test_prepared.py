"""The first lines of Python on a device: what they travel through, and what they start from."""

import json
import subprocess
import sys

import pytest
from paretune.backends.runner.boot import there

LONGEST_WORD = 8000


def begin(folder, prepared=""):
    """The facts that they tell on a device without any package, whose work folder this is."""
    command = [sys.executable, "-S", *there(str(folder), prepared)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={})
    mark = "paretune-runner-trouble "
    lines = [line for line in done.stdout.splitlines() if line.startswith(mark)]
    return json.loads(lines[0].removeprefix(mark))


def prepare(folder, name="abc", tag=sys.implementation.cache_tag, current=True):
    """A set with a runner that tells which it is, and that is all."""
    package = folder / "prepared" / "parts" / name / "paretune" / "backends" / "runner"
    package.mkdir(parents=True)
    (package.parents[1] / "__init__.py").write_text(f"raise ImportError({name!r}, name='told')")
    sets = folder / "prepared" / "sets"
    sets.mkdir(exist_ok=True)
    said = {"tag": tag, "runner": name, "parts": [{"name": name}]}
    (sets / f"{name}.json").write_text(json.dumps(said))
    if current:
        (folder / "prepared" / "current").write_text(name)


def test_the_command_passes_through_every_shell():
    words = there("~/a b", "abc")
    assert not set("".join(words)) & set("\n'!$`")
    assert all(len(word) < LONGEST_WORD for word in words)


def test_where_nothing_was_prepared_or_installed_it_says_so(tmp_path):
    assert begin(tmp_path)["missing"] == "paretune"


def test_it_starts_from_the_current_set_or_from_the_one_that_is_named(tmp_path):
    prepare(tmp_path, "first", current=False)
    assert begin(tmp_path)["missing"] == "paretune"
    prepare(tmp_path, "second")
    assert begin(tmp_path)["said"] == "second"
    assert begin(tmp_path, "first")["said"] == "first"


@pytest.mark.parametrize(("text", "tag"), [("{", ""), ("[]", ""), ('{"parts": 1}', ""), ("", "")])
def test_a_set_that_is_damaged_is_told(tmp_path, text, tag):
    prepare(tmp_path)
    (tmp_path / "prepared" / "sets" / "abc.json").write_text(text)
    facts = begin(tmp_path)
    assert (facts["what"], facts["tag"]) == ("prepared", tag)


def test_a_set_for_another_python_is_told(tmp_path):
    prepare(tmp_path, tag="cpython-27")
    assert begin(tmp_path)["tag"] == "cpython-27"
