"""A YAML file is read in a moment, whatever it holds: as a value that means what is written, or refused."""

from __future__ import annotations

import os
import socket
import time

import pytest
from paretune.profiles.errors import UserError
from paretune.profiles.text.strict_yaml import read_model, read_with_places, to_yaml
from paretune.profiles.text.yaml_document import read_document
from paretune.profiles.text.yaml_text import MOST_BYTES, read_text
from pydantic import BaseModel, ConfigDict

FREE = (("free",),)


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    number: float = 0.0
    names: tuple[str, ...] = ()


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    text: str = ""
    whole: int = 0
    flag: bool = False
    inner: Inner = Inner()


def value_of(written):
    return read_document(f"key: {written}\n", "file.yaml", "file").data["key"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("8.65", 8.65),
        ("1e3", 1000.0),
        ("1.5e+3", 1500.0),
        ("-0.0", 0.0),
        ("-7", -7),
        ("0x10", 16),
        (".5", 0.5),
        ("9223372036854775807", 2**63 - 1),
        ("12:30:45", "12:30:45"),
        ("2:4", "2:4"),
        ("017", "017"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("2024-02-31", "2024-02-31"),
        ("2024-01-01", "2024-01-01"),
        ("8.5.3", "8.5.3"),
        ("yes", True),
        ("'yes'", "yes"),
        ("~", None),
        ("!!str 5", "5"),
        ("! 'no'", "no"),
        ("!!float 5", 5.0),
        ("!!int '5'", 5),
        ("[1, [2]]", [1, [2]]),
    ],
)
def test_a_value_is_what_is_written(written, value):
    found = value_of(written)
    assert (found, type(found)) == (value, type(value))


def test_of_two_zeros_one_is_kept():
    assert str(value_of("-0.0")) == "0.0"


@pytest.mark.parametrize(
    "written",
    [
        ".inf",
        "-.INF",
        ".nan",
        "1e400",
        "1e-400",
        "9223372036854775808",
        "9" * 5000,
        "9" * 5000 + ".0",
        "!!int abc",
        "!!int 1.5",
        "!!int yes",
        "!!float x",
        "!!bool 1",
        "!!null 0",
        "!!binary aGk=",
        "!!timestamp 2024-01-01",
        "!!set {a}",
        "!!python/object/apply:os.system [x]",
        "!own 5",
        '"\\0"',
        '"\\ud800"',
        '"\\U99999999"',
        '"\\U7fffffff"',
        "!<%zz> 3",
        "{2024-01-01: 1, 5: 2}",
        "{!!binary aGk=: 1}",
        "{? [a]: b}",
        "{null: 1}",
        "{yes: 1}",
        "{!!int abc: 1}",
        f"{{{'k' * 300}: 1}}",
        "{a: 1, a: 2}",
        '{"a\\tb": 1}',
        "{'a': 1, \"a\": 2}",
        "{<<: 5}",
        "&a [*a]",
        "&a {b: {c: *a}}",
        "*nowhere",
        "[" * 60 + "]" * 60,
        "{a: " * 60 + "}" * 60,
        "[1",
        "@",
        "a: b",
        "1\n--- {}",
        "%",
    ],
)
def test_what_cannot_be_read_is_refused_with_line_and_column(written):
    with pytest.raises(UserError, match=r"file\.yaml, line [1-9]\d*, column [1-9]\d*") as caught:
        value_of(written)
    assert len(str(caught.value)) < 1000


def test_all_that_is_not_accepted_comes_in_one_message():
    with pytest.raises(UserError, match="3 problems") as caught:
        read_document("a: .inf\nb:\n  - !x 1\n  - {5: 6}\n", "f.yaml", "file")
    for place in ("line 1, column 4: a", "line 3, column 5: b.0", "line 4, column 6: b.1"):
        assert place in str(caught.value)


@pytest.mark.parametrize(
    "written", ["yes", "off", "017", "0o17", "08", "1_000", "1:30", "2024-01-01", "0b11"]
)
def test_where_nothing_says_how_to_read_it_an_ambiguous_value_is_refused(written):
    with pytest.raises(UserError, match=r"line 1, column 11: free\.a"):
        read_document(f"free: {{a: {written}}}", "f.yaml", "file", FREE)
    assert read_document(f"free: {{a: '{written}'}}", "f.yaml", "file", FREE).data == {"free": {"a": written}}


def test_aliases_and_merges_are_read():
    text = "a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {<<: [{x: 4}, *a]}\n"
    assert read_document(text, "f", "file").data == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 2},
        "c": {"x": 1, "y": 3},
        "d": {"x": 4, "y": 2},
    }


def bombs():
    laughs = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    yield "\n".join(["a0: &a0 [x]", *laughs])
    yield "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 3000))])
    yield "\n".join(
        ["a0: &a0 {x: 1}", *(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, 30))]
    )
    yield "a: [" + "1," * 100_000 + "]"
    yield "a: " + "[" * 100_000
    yield "a:\n" + "- " * 100_000
    yield "? " * 100_000


@pytest.mark.parametrize("text", bombs())
def test_a_small_file_costs_little(text):
    started = time.process_time()
    with pytest.raises(UserError, match=r"line \d+, column \d+"):
        read_document(text, "f.yaml", "file")
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text: caf\xe9\n", r"line 1, column 10: not UTF-8 text"),
        ("text: x\n".encode("utf-16"), "UTF-16"),
        (b"whole: 1\ntext: a\0b\n", r"line 2, column 8: a control character"),
        (b"text: \x1b[31m\n", r"U\+001B"),
        (b"#" * (MOST_BYTES + 1), "too large"),
        (b"", "nothing"),
        (b"- 1\n", "a list"),
        (b"word\n", "a single value"),
    ],
)
def test_a_file_that_is_no_mapping_of_clean_text_is_refused(tmp_path, content, message):
    (tmp_path / "f.yaml").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_model(Outer, tmp_path / "f.yaml")


def test_the_mark_that_some_editors_write_first_is_passed_over(tmp_path):
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbftext: x\r\n")
    assert read_model(Outer, tmp_path / "f.yaml") == Outer(text="x")


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        names = ["pipe", "folder", "loop", "socket", "missing", "a\0b", "x" * 300, "pipe/inside"]
        for path in [*(tmp_path / name for name in names), "/dev/zero", "/dev/null"]:
            with pytest.raises(UserError, match="cannot be read"):
                read_text(tmp_path / path, "study file")


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("whole: 1.0", ["line 1, column 1: whole"]),
        ("whole: yes", ["line 1, column 1: whole", "found: yes"]),
        ("text: 8.10", ["found: 8.10", "in quotes"]),
        ("flag: 1", ["line 1, column 1: flag"]),
        ("inner:\n  number: '5'", ["line 2, column 3: inner.number", "without quotes"]),
        ("inner:\n  names:\n    - a\n    - 5", ["line 4, column 7: inner.names.1"]),
        ("inner: {numbr: 1}", ["line 1, column 9: inner.numbr", "did you mean 'number'"]),
        (
            "whole: x\ninner: {number: []}",
            ["2 problems", "line 1, column 1", "line 2, column 9: inner.number"],
        ),
    ],
)
def test_what_does_not_fit_the_model_has_its_place_too(tmp_path, text, places):
    (tmp_path / "f.yaml").write_text(text)
    with pytest.raises(UserError, match=r"f\.yaml") as caught:
        read_model(Outer, tmp_path / "f.yaml")
    for place in places:
        assert place in str(caught.value)


def test_a_document_knows_the_place_of_what_is_said_later(tmp_path):
    (tmp_path / "f.yaml").write_text("text: pane\ninner:\n  names: [a, b]\n")
    document = read_with_places(Outer, tmp_path / "f.yaml", "file")[1]
    name = str(tmp_path / "f.yaml")
    assert document.place_of("inner.names.1") == f"{name}, line 3, column 14: inner.names.1"
    assert document.place_of("inner.names.7") == f"{name}, line 3, column 3: inner.names.7"
    assert document.place_of("pane") == f"{name}, line 1, column 1: pane"
    assert document.place_of("/some/file.py, line 3") == "/some/file.py, line 3"


@pytest.mark.parametrize(
    "text", ["1e3", "08", "2:4", "yes", "~", "a: b", "# c", "", " x", "-", "plain", "8.5.3", "\u0663"]
)
def test_what_is_written_is_read_as_it_was(text):
    written = to_yaml({"free": {"a": [text, 1e-5, 3, True]}})
    assert read_document(written, "f", "file", FREE).data == {"free": {"a": [text, 1e-5, 3, True]}}
