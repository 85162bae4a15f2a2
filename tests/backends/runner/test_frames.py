"""Frames survive any splitting of the stream, and nothing that is no frame passes as one."""

import io
import json
import struct

import numpy as np
import pytest
from paretune.backends.runner.frames import (
    MAX_HEADER_BYTES,
    Message,
    ProtocolError,
    StreamEndedError,
    read_message,
    write_message,
)


def bytes_of(message):
    stream = io.BytesIO()
    write_message(stream.write, message)
    return stream.getvalue()


def parse(data):
    return read_message(io.BytesIO(data).read)


def frame(header, payload=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text + payload


ARRAYS = {
    "image": np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32),
    "tokens": np.arange(6, dtype=np.int64).reshape(2, 3),
    "mask": np.array([True, False]),
    "half": np.array([1.5, -2], np.float16),
    "single": np.array(7, np.uint8),
    "none": np.zeros((0, 5), np.float32),
    "strided": np.arange(12, dtype=np.int32).reshape(3, 4).T[::2],
    "big-endian": np.arange(3, dtype=">i4"),
}


def test_round_trip():
    message = Message(body={"do": "x", "n": [1, 2.5, None, "é"]}, arrays=ARRAYS)
    found = parse(bytes_of(message))
    assert found.body == message.body
    assert list(found.arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found.arrays[name].shape == array.shape
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)
        assert found.arrays[name].flags.writeable


def test_bytes_may_come_one_by_one():
    stream = io.BytesIO(bytes_of(Message(body={"a": 1}, arrays={"x": ARRAYS["image"]})) * 2)
    for _ in range(2):
        found = read_message(lambda size: stream.read(1))
        np.testing.assert_array_equal(found.arrays["x"], ARRAYS["image"])
    with pytest.raises(StreamEndedError, match="the stream ended") as caught:
        read_message(stream.read)
    assert caught.value.clean


def test_every_truncation_is_told():
    whole = bytes_of(Message(body={"a": 1}, arrays={"x": np.ones(4, np.float32)}))
    for length in range(1, len(whole)):
        with pytest.raises(StreamEndedError, match=r"inside (a length|a header|array 'x'): \d+ of") as caught:
            parse(whole[:length])
        assert not caught.value.clean


def test_numbers_of_numpy_are_sent_as_numbers_and_other_things_are_refused_before_a_byte_is_sent():
    assert parse(bytes_of(Message(body={"n": np.int64(3), "x": np.float32(0.5)}))).body == {"n": 3, "x": 0.5}
    for value in (object(), {1, 2}, b"bytes", np.ones(2)):
        stream = io.BytesIO()
        with pytest.raises(ProtocolError, match="cannot be sent"):
            write_message(stream.write, Message(body={"value": value}))
        assert not stream.getvalue()


def test_a_message_may_bring_no_more_than_was_asked_for():
    data = bytes_of(Message(arrays={"x": np.zeros(10, np.uint8), "y": np.zeros(10, np.uint8)}))
    assert set(read_message(io.BytesIO(data).read, 20).arrays) == {"x", "y"}
    with pytest.raises(ProtocolError, match="over the limit of 19 bytes"):
        read_message(io.BytesIO(data).read, 19)


@pytest.mark.parametrize("array", [np.array([object()]), np.array(["text"]), np.array([b"x"])])
def test_only_numbers_are_sent(array):
    with pytest.raises(ProtocolError, match="only numbers and booleans"):
        bytes_of(Message(arrays={"x": array}))


def announced(dtype, shape, size):
    return frame({"body": {}, "arrays": [{"name": "x", "dtype": dtype, "shape": shape, "bytes": size}]})


ONE = {"name": "x", "dtype": "|u1", "shape": [1], "bytes": 1}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"Last login: yesterday\n" * 4, "this is no frame"),
        (struct.pack(">I", MAX_HEADER_BYTES + 1), "this is no frame"),
        (frame(b"{]"), "not one of ours"),
        (frame([1, 2]), "not one of ours"),
        (frame({"body": 3, "arrays": []}), "not one of ours"),
        (frame({"body": {}, "arrays": [{"name": "x"}]}), "not described"),
        (announced("nonsense", [], 1), "not described"),
        (frame(b"[" * 100_000), "not one of ours"),
        (frame(b'{"body": {}, "arrays": [], "n": ' + b"9" * 10_000 + b"}"), "not one of ours"),
        (frame(b"\xff\xfe{"), "not one of ours"),
        (frame({"body": {}, "arrays": [{"dtype": "<f4", "shape": [2], "bytes": 4}]}), "not described"),
        (frame({"body": {}, "arrays": [3]}), "not described"),
        (frame({"body": {}, "arrays": {"name": "x"}}), "not described"),
        (frame({"body": {}, "arrays": [dict(ONE, name=[1])]}), "not described"),
        (frame({"body": {}, "arrays": [ONE, ONE]}, b"\0\0"), "not one of ours"),
        (announced("|O", [1], 8), "not described"),
        (announced("f4,f4", [1], 8), "not described"),
        (announced("<f4", [-1, -1], 4), "not described"),
        (announced("<f4", ["1"], 4), "not described"),
        (announced("<f4", [True], 4), "not described"),
        (announced("|u1", [1] * 100, 1), "not one of ours|cannot be|inside"),
        (announced("|u1", [0, 2**62, 2**62], 0), "cannot be"),
        (announced("<f4", [2], 4), "do not agree"),
        (announced("<f4", [2**32, 2**32], 0), "do not agree"),
        (announced("|u1", [2**35], 2**35), "over the limit"),
    ],
)
def test_what_is_no_frame_is_refused(data, text):
    with pytest.raises(ProtocolError, match=text):
        parse(data)
