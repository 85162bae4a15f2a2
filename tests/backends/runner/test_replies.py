"""What a runner tells is taken in only where it is what it should be; anything else is one clear error."""

import io
import signal
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from paretune.backends.runner import replies
from paretune.backends.runner.child import died_from_outside, last_words, status_in_words
from paretune.backends.runner.frames import Message, ProtocolError, read_message, write_message
from paretune.backends.runner.reading import Reply
from paretune.profiles.errors import StageError, UnsupportedError, UserError
from paretune.profiles.precision import Precision

FILE = Path(__file__)
SIZE = FILE.stat().st_size
TENSOR = {"name": "x", "dtype": "float32", "shape": [1, 3]}
ANSWERS = {
    "compile": {
        "path": "/there/model.bin", "backend": "own", "precision": "int8", "size_bytes": SIZE,
        "weight_bytes": {"int8": 60}, "notes": ["a"], "versions": {"own": "1"}, "stored_as": {"a": "int8"},
        "zero_share": 0.5,
    },
    "hello": {
        "pid": 7, "modules": ["numpy"],
        "environment": {"packages": {"numpy": "2"}, "memory_bytes": 5, "instructions": ["avx2"]},
    },
    "available": {"installed": True, "version": "1", "reason": "", "install": "pip install 'own[it]'"},
    "open": {"inputs": [TENSOR], "outputs": [TENSOR], "load_ms": 1.5, "cores": [0]},
    "sample": {"nanoseconds": [5, 7]},
    "error": {"error": "stage", "stage": "compile", "cause": "no", "log": "", "disagrees": True},
    "user": {"error": "user", "problem": "p", "place": "", "found": "", "accepted": "", "remedy": ""},
    "unsupported": {"error": "unsupported", "reason": "none"},
}  # fmt: skip
READ = {
    "compile": lambda reply: (
        replies.file_name(reply),
        replies.made_in(reply, Path("/")) if reply.body.get("path") == "?" else None,
        replies.artifact(reply, FILE, "own", Precision.INT8),
    ),
    "hello": replies.hello,
    "available": replies.available,
    "open": replies.opened,
    "sample": lambda reply: replies.nanoseconds(reply, 2, 1),
    "error": lambda reply: replies.raise_error(reply, None),
    "user": lambda reply: replies.raise_error(reply, 10**6),
    "unsupported": lambda reply: replies.raise_error(reply, None),
}


def answer(operation, **changed):
    body = {**ANSWERS[operation], **changed}
    return Reply(device="board", operation=operation, stage="measure", body=body)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**400)
    | st.sampled_from(["/..", "a/\ud800", "\x1b[2J", "int8", "x" * 300, "\0", "stage"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@st.composite
def damaged(draw):
    """A right answer in which some fields are missing or junk, at the top or below."""
    operation = draw(st.sampled_from(sorted(ANSWERS)))
    body = dict(ANSWERS[operation])
    for name in draw(st.lists(st.sampled_from(sorted(body)), min_size=1, max_size=3, unique=True)):
        value = body.pop(name)
        if isinstance(value, list) and draw(st.booleans()):
            body[name] = [*value[:-1], draw(JUNK)]
        elif isinstance(value, dict) and draw(st.booleans()):
            body[name] = {**value, draw(st.sampled_from([*value, "more"])): draw(JUNK)}
        elif draw(st.booleans()):
            body[name] = draw(JUNK)
    return operation, Reply(device="board", operation=operation, stage="measure", body=body)


@given(damaged())
def test_whatever_an_answer_holds_it_is_read_or_is_one_error_of_ours(case):
    operation, reply = case
    try:
        READ[operation](reply)
    except (StageError, UserError, UnsupportedError) as error:
        message = str(error)
        event(type(error).__name__)
    else:
        message = ""
    assert message.encode("utf-8") == message.replace("\x1b", "?").encode("utf-8")


@given(st.data())
def test_whatever_bytes_come_they_are_a_message_or_a_protocol_error(data):
    stream = io.BytesIO()
    sent = Message(body={"pid": 7}, arrays={"x": np.ones((2, 3), np.float32)})
    write_message(stream.write, sent)
    whole = bytearray(stream.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 25))] = data.draw(st.integers(0, 255))
    try:
        found = read_message(io.BytesIO(bytes(whole)).read)
    except ProtocolError:
        return
    assert isinstance(found.body, dict)
    assert all(array.dtype.kind in "biufc" for array in found.arrays.values())


@pytest.mark.parametrize(
    ("operation", "name", "value"),
    [
        *[("compile", "size_bytes", value) for value in (nan, inf, 0, -5, 7.5, "many", None, True, 10**400)],
        *[("compile", "size_bytes", SIZE + 1)],
        *[("compile", "weight_bytes", value) for value in ({"int8": nan}, {"int8": -1}, {"int8": 0.5}, 3)],
        *[("compile", "zero_share", value) for value in (nan, -0.1, 1.5, "a")],
        *[("compile", "notes", value) for value in ("text", [3], {"a": 1}, None)],
        *[("compile", "precision", value) for value in ("fp32", "nonsense", None, [])],
        *[("compile", "versions", value) for value in ({"a": 1}, [])],
        *[("hello", "pid", value) for value in ("7", None, -1, {})],
        *[("hello", "environment", value) for value in (None, [], {"packages": []}, {"packages": {"a": 1}})],
        *[("hello", "environment", {"load": value}) for value in (nan, inf, 10**400)],
        *[("available", "installed", value) for value in (None, 1, "yes")],
        *[("available", "version", value) for value in (None, 2, ["1"])],
        *[("open", "inputs", value) for value in ([], {}, [3], [{}], [TENSOR, TENSOR], None)],
        *[("open", "outputs", [{**TENSOR, **one}]) for one in ({"shape": 3}, {"shape": ["a"]}, {"dtype": 1})],
        *[("open", "load_ms", value) for value in (nan, -1, "1", None)],
        *[("open", "cores", value) for value in ("0", [0.5], None)],
    ],
)  # fmt: skip
def test_a_value_that_is_none_fails_the_stage_by_its_name_and_the_device(operation, name, value):
    with pytest.raises(StageError) as caught:
        READ[operation](answer(operation, **{name: value}))
    assert caught.value.stage == "measure"
    assert name in caught.value.cause
    assert "board" in caught.value.cause
    assert operation in caught.value.cause


@pytest.mark.parametrize("name", ["pid", "environment", "modules"])
def test_a_field_that_is_missing_is_named(name):
    body = {key: value for key, value in ANSWERS["hello"].items() if key != name}
    with pytest.raises(StageError, match=f"{name} is missing"):
        replies.hello(Reply(device="board", operation="hello", stage="measure", body=body))


def test_answers_that_are_right_pass():
    found = replies.artifact(answer("compile", zero_share=None), FILE, "own", Precision.INT8)
    assert (found.path, found.size_bytes, found.weight_bytes) == (FILE, SIZE, {"int8": 60})
    assert (found.zero_share, found.notes, found.stored_as) == (None, ("a",), {"a": "int8"})
    assert replies.hello(answer("hello")).environment == ANSWERS["hello"]["environment"]
    opened = replies.opened(answer("open"))
    assert (opened.inputs[0].shape, opened.load_ms, opened.cores) == ((1, 3), 1.5, (0,))
    older = {name: value for name, value in ANSWERS["open"].items() if name != "cores"}
    assert replies.opened(Reply(device="", operation="open", stage="", body=older)).cores == ()


@pytest.mark.parametrize("samples", [[5, nan], [5, -1], [0, 0], [5], [5, 6, 7], ["5", 6], None, 3, {}])
def test_durations_that_are_none(samples):
    with pytest.raises(StageError):
        replies.nanoseconds(answer("sample", nanoseconds=samples), 2, 1)


def test_a_run_takes_a_nanosecond_at_least():
    assert replies.nanoseconds(answer("sample", nanoseconds=[5, 0]), 2, 5) == [5, 0]
    with pytest.raises(StageError, match="less than 1 ns"):
        replies.nanoseconds(answer("sample", nanoseconds=[5, 3]), 2, 1000)


@pytest.mark.parametrize(
    "path", ["", "/", "..", "a/..", "/a/\n", "-rf", "/etc/a b", "\0", "\ud800", None, []]
)
def test_a_compiled_file_has_a_plain_name(path):
    with pytest.raises(StageError, match="path"):
        replies.file_name(answer("compile", path=path))


def test_a_compiled_file_lies_where_it_was_asked_for_and_is_a_file(tmp_path):
    (tmp_path / "right.bin").write_bytes(b"x")
    (tmp_path / "link.bin").symlink_to("/etc/passwd")
    (tmp_path / "folder.bin").mkdir()
    assert replies.made_in(answer("compile", path="/x/right.bin"), tmp_path) == tmp_path / "right.bin"
    for path in ("/etc/passwd", "link.bin", "folder.bin"):
        with pytest.raises(StageError, match=r"asked for in|no regular file"):
            replies.made_in(answer("compile", path=path), tmp_path)


def part(**arrays):
    return Reply(device="board", operation="infer", stage="score", body={}, arrays=arrays)


@pytest.mark.parametrize(
    "parts",
    [
        [part()],
        [part(y=np.array(1.0))],
        [part(y=np.ones((2, 3))), part()],
        [part(y=np.ones((2, 3))), part(z=np.ones((2, 3)))],
        [part(y=np.ones((2, 3))), part(y=np.ones((2, 4)))],
        [part(y=np.ones((2, 3))), part(y=np.ones((2, 3), np.float32))],
    ],
)
def test_outputs_that_do_not_fit_together(parts):
    with pytest.raises(StageError, match="board"):
        replies.outputs(parts)


def test_outputs_of_parts_are_those_of_all():
    found = replies.outputs([part(y=np.ones((2, 3))), part(y=np.zeros((1, 3)), z=np.ones(1))])
    assert found.keys() == {"y"}
    assert found["y"].shape == (3, 3)


@pytest.mark.parametrize(
    ("status", "log", "outside"),
    [
        (255, "Connection to board closed by remote host.", True),
        (255, "Fatal Python error: Segmentation fault", False),
        (137, "", True),
        (1, "", False),
        (9, "", False),
        (None, "", False),
    ],
)
def test_behind_ssh_the_status_tells_who_ended_it(status, log, outside):
    assert died_from_outside(status, log, remote=True, limited=False) is outside


@pytest.mark.parametrize("limited", [True, False])
def test_want_of_memory_is_from_outside_where_nobody_had_limited_it(limited):
    found = died_from_outside(-6, "terminate called: std::bad_alloc", remote=False, limited=limited)
    assert found is not limited


QUANTUM = (
    "** WARNING: connection is not using a post-quantum key exchange algorithm.\n"
    '** This session may be vulnerable to "store now, decrypt later" attacks.\n'
    "** The server may need to be upgraded. See https://openssh.com/pq.html\n"
)
ADDED = "Warning: Permanently added 'board' (ED25519) to the list of known hosts.\n"


@pytest.mark.parametrize(
    ("log", "first"),
    [
        (QUANTUM + "pi@board: Permission denied.\r\n", "pi@board: Permission denied."),
        (ADDED + "bash: line 1: exec: python3: not found\n", "bash: line 1: exec: python3: not found"),
        ("BANNER\n\n" + QUANTUM + "Traceback:\n  File x\nImportError: no\n", "ImportError: no"),
        ("kex_exchange: Connection reset\n" + QUANTUM, "kex_exchange: Connection reset"),
        (QUANTUM + ADDED, ""),
        ("", ""),
    ],
)
def test_the_reason_is_what_was_said_last_and_no_warning_of_ssh(log, first):
    words = last_words(log)
    assert words.partition("\n")[0] == first
    assert "post-quantum" not in words
    assert "Permanently" not in words


def test_a_lost_line_is_said_so():
    log = QUANTUM + "Timeout, server board not responding.\n"
    assert "board not responding" in status_in_words(255, log, remote=True)
    assert "lost" in status_in_words(255, "", remote=True)
    assert status_in_words(255, "", remote=False) == "ended with exit status 255"


@pytest.mark.parametrize(("number", "limit"), [(signal.SIGXFSZ, "ulimit -f"), (signal.SIGXCPU, "ulimit -t")])
def test_a_limit_of_the_machine_is_named_and_no_fault_of_the_candidate(number: int, limit: str) -> None:
    assert limit in status_in_words(-number, "")
    assert died_from_outside(-number, "", remote=False, limited=False)
