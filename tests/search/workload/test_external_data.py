"""Where an ONNX file says that its weights lie is checked before anything opens it."""

import os
import signal

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.profiles.errors import UserError
from paretune.search.workload.onnx_file import read_onnx, weight_files

WEIGHTS = np.arange(12, dtype=np.float32).reshape(4, 3)
BYTES = WEIGHTS.tobytes()
FLOAT = TensorProto.FLOAT
node, value = helper.make_node, helper.make_tensor_value_info


@pytest.fixture(autouse=True)
def no_wait():
    """A pipe or the kernel's log would be waited for."""
    signal.alarm(20)
    yield
    signal.alarm(0)


def outside(**said):
    """The tensor `w`, whose data lies where is said."""
    tensor = numpy_helper.from_array(WEIGHTS, "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, text in said.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key.rstrip("_"), text
    return tensor


def constant(tensor):
    found = node("Constant", [], ["w"])
    attribute = found.attribute.add()
    attribute.name, attribute.type = "value", onnx.AttributeProto.TENSOR
    attribute.t.CopyFrom(tensor)
    return found


def model(nodes, constants=(), functions=(), sparse=()):
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", FLOAT, ["N", 4])],
        [value("y", FLOAT, ["N", 3])],
        list(constants),
        sparse_initializer=list(sparse),
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    return helper.make_model(graph, opset_imports=imports, functions=list(functions), ir_version=8)


def of(tensor):
    return model([node("MatMul", ["x", "w"], ["y"])], [tensor])


@pytest.fixture
def folder(tmp_path):
    """A model's folder with weights in it, and others beside it."""
    (tmp_path / "weights.bin").write_bytes(WEIGHTS.tobytes())
    made = tmp_path / "model"
    (made / "part").mkdir(parents=True)
    for name in ("weights.bin", "part/weights.bin"):
        (made / name).write_bytes(bytes(8) + WEIGHTS.tobytes())
    (made / "link").symlink_to("weights.bin")
    (made / "link-out").symlink_to("../weights.bin")
    (made / "loop").symlink_to("loop")
    (made / "folder-out").symlink_to("..")
    os.mkfifo(made / "pipe")
    return made


def written(folder, proto):
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.mark.parametrize("place", ["weights.bin", "part/weights.bin", "./weights.bin", "link"])
def test_weights_in_the_models_folder_are_read(folder, place):
    path = written(folder, of(outside(location=place, offset="8", length="48")))
    assert weight_files(path) == [folder / place]
    read = read_onnx(path).graph.initializer[0]
    np.testing.assert_array_equal(numpy_helper.to_array(read), WEIGHTS)


@pytest.mark.parametrize(
    "said",
    [
        {"location": "../weights.bin"},
        {"location": "folder-out/weights.bin"},
        {"location": "link-out"},
        {"location": "/proc/kmsg"},
        {"location": "../" * 20 + "proc/kmsg"},
        {"location": "/dev/zero"},
        {"location": "pipe"},
        {"location": "loop"},
        {"location": "part"},
        {"location": "."},
        {"location": ""},
        {},
        {"location": "none"},
        {"location": "weights.bin\0"},
        {"location": "weights.bin\n"},
        {"location": "n" * 5000},
        {"location": "weights.bin", "location_": "../weights.bin"},
        {"location": "weights.bin", "offset": "9"},
        {"location": "weights.bin", "offset": "-4"},
        {"location": "weights.bin", "offset": "x"},
        {"location": "weights.bin", "offset": "9" * 30},
        {"location": "weights.bin", "length": "49"},
        {"location": "weights.bin", "length": "12"},
        {"location": "weights.bin", "length": ""},
    ],
)
def test_what_lies_elsewhere_is_one_message_that_names_the_tensor(folder, said):
    path = written(folder, of(outside(**said)))
    for asked in (weight_files, read_onnx):
        with pytest.raises(UserError, match="weights of tensor 'w'") as caught:
            asked(path)
        assert caught.value.place == str(path)


def in_function(bad):
    inside = [constant(bad), node("MatMul", ["a", "w"], ["b"])]
    function = helper.make_function("mine", "F", ["a"], ["b"], inside, [helper.make_opsetid("", 17)])
    return model([node("F", ["x"], ["y"], domain="mine")], functions=[function])


def in_branch(bad):
    branch = helper.make_graph([constant(bad)], "branch", [], [value("w", FLOAT, [4, 3])])
    choice = node("If", ["yes"], ["w2"], then_branch=branch, else_branch=branch)
    return model(
        [choice, node("MatMul", ["x", "w2"], ["y"])], [numpy_helper.from_array(np.array(True), "yes")]
    )


def in_sparse(bad):
    sparse = onnx.SparseTensorProto(dims=[4, 3])
    sparse.values.CopyFrom(bad)
    sparse.indices.CopyFrom(numpy_helper.from_array(np.arange(12), "places"))
    return model([node("MatMul", ["x", "w"], ["y"])], sparse=[sparse])


@pytest.mark.parametrize("hidden", [in_function, in_branch, in_sparse])
def test_no_tensor_is_too_deep_to_be_checked(folder, hidden):
    path = written(folder, hidden(outside(location="../weights.bin")))
    with pytest.raises(UserError, match="weights of tensor 'w'"):
        read_onnx(path)


def sized(*dims, kind=FLOAT, data=BYTES):
    return TensorProto(name="w", data_type=kind, dims=dims, raw_data=data)


def of_type(number):
    proto = of(sized(4, 3))
    proto.graph.input[0].type.tensor_type.elem_type = number
    return proto


def calls_itself():
    inside = [node("F", ["a"], ["b"], domain="mine")]
    function = helper.make_function("mine", "F", ["a"], ["b"], inside, [helper.make_opsetid("mine", 1)])
    return model([node("F", ["x"], ["y"], domain="mine")], functions=[function])


GOOD = of(sized(4, 3)).SerializeToString()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        GOOD[: len(GOOD) // 2],
        GOOD.replace(b"\x01w", b"\x01\xff"),
        of(sized(2**40, 2**20)).SerializeToString(),
        of(sized(-1, 3)).SerializeToString(),
        of(sized(4, 3, data=b"")).SerializeToString(),
        of(sized(4, 3, kind=116)).SerializeToString(),
        of_type(116).SerializeToString(),
        calls_itself().SerializeToString(),
    ],
    ids=["empty", "text", "half", "no UTF-8", "claims", "negative", "no data", "type", "input", "cycle"],
)
def test_a_file_that_is_no_model_is_one_message(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_onnx(path)
    assert caught.value.place == str(path)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "none", "huge"])
def test_what_is_no_file_is_neither_waited_for_nor_read(tmp_path, kind):
    path = tmp_path / "model.onnx"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(2**41)
    for asked in (weight_files, read_onnx):
        with pytest.raises(UserError) as caught:
            asked(path)
        assert caught.value.place == str(path)
