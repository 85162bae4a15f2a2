from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from contracts.store_contract import KEY, no_making, until, written
from paretune.profiles.errors import InternalError, UserError
from paretune.search.store.manifest import MANIFEST
from paretune.search.store.store import Store, content_key


def child(code: str, *arguments: object, wait: bool = True, **options):
    """Run code in a process of its own; with `wait`, until it ends."""
    head = "import os, sys, time\nfrom pathlib import Path\nfrom paretune.search.store.store import *\n"
    process = subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    return process.communicate(timeout=60) if wait else process


def leftovers(store: Store) -> list[Path]:
    return list((store.root / ".making").iterdir())


def test_keys_are_pinned():
    """Changing these means that every store in the world starts from nothing: raise the version instead."""
    fields = {"student": [["depth", 2], ["width", 0.5]], "share": 0.25, "data": "ab" * 32}
    assert content_key("distill", 1, fields) == (
        "a41e42b7751fd3254cade2b115f72b0e2d28bb78325ecc8bb1a74c70d96a519f"
    )
    assert content_key("compile", 3, {}) == "34805a7932293272a335a0069f49aa4bbc78877118e6f7d2baff276e32370bc5"


@pytest.mark.parametrize(
    "other", [("prune", 1, {"a": 1}), ("distill", 2, {"a": 1}), ("distill", 1, {"a": 2})]
)
def test_a_key_covers_stage_version_and_fields(other):
    assert content_key(*other) != KEY
    assert content_key("distill", 1, {"a": 1, "b": 2}) == content_key("distill", 1, {"b": 2, "a": 1})


def test_an_entry_is_made_once_and_found_by_another_store(tmp_path):
    made = Store(tmp_path).produce("sketch", KEY, {"from": "x"}, written())
    assert not made.cached
    found = Store(tmp_path).produce("sketch", KEY, {}, no_making)
    assert found.cached
    assert (found.path / "part" / "file.txt").read_text() == "hello"
    assert found.meta == made.meta == {"length": 5, "shape": [1, 2]}
    assert found.provenance == {"from": "x"}
    assert found.made_seconds == made.made_seconds
    assert Store(tmp_path).get("prune", KEY) is None
    assert found.path.stat().st_mode == tmp_path.joinpath("sketch").stat().st_mode  # others may read it


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "manifest", "meta", "no manifest"])
def test_a_damaged_entry_is_a_miss_and_is_made_again(tmp_path, damage, caplog):
    store = Store(tmp_path)
    entry = store.produce("sketch", KEY, {}, written())
    file, manifest = entry.path / "part" / "file.txt", entry.path / MANIFEST
    if damage == "flip":
        file.write_text("hellO")
    elif damage == "truncate":
        file.write_text("hell")
    elif damage == "remove":
        file.unlink()
    elif damage == "manifest":
        manifest.write_text(manifest.read_text()[:-20])
    elif damage == "meta":
        content = json.loads(manifest.read_text())
        content["meta"]["length"] = 6
        manifest.write_text(json.dumps(content))
    else:
        manifest.unlink()
    assert store.get("sketch", KEY) is None
    assert "is damaged" in caplog.text
    assert not entry.path.exists()
    again = store.produce("sketch", KEY, {}, written())
    assert not again.cached
    assert store.get("sketch", KEY).cached


def test_a_stage_that_raises_leaves_nothing(tmp_path):
    store = Store(tmp_path)

    def make(directory: Path):
        (directory / "half").write_text("x")
        raise ValueError("broken stage")

    with pytest.raises(ValueError, match="broken stage"):
        store.produce("sketch", KEY, {}, make)
    assert store.get("sketch", KEY) is None
    assert leftovers(store) == []


def test_the_manifest_belongs_to_the_store(tmp_path):
    def make(directory: Path):
        (directory / MANIFEST).write_text("{}")
        return {}

    with pytest.raises(InternalError, match=r"wrote a file of the name manifest\.json"):
        Store(tmp_path).produce("sketch", KEY, {}, make)


MAKE_SLOWLY = """
def make(directory):
    (directory / "half").write_text("half")
    Store(sys.argv[1]).workdir("sketch", sys.argv[2]).joinpath("checkpoint").write_text("epoch 3")
    Path(sys.argv[1], "begun").touch()
    time.sleep(300)
Store(Path(sys.argv[1])).produce("sketch", sys.argv[2], {}, make)
"""


def test_kill_in_the_middle_leaves_no_entry_frees_the_lock_and_keeps_the_checkpoint(tmp_path):
    process = child(MAKE_SLOWLY, tmp_path, KEY, wait=False)
    until((tmp_path / "begun").exists)
    bystander = Store(tmp_path)  # opened while the maker lives: must not sweep what it makes
    assert len(leftovers(bystander)) == 1
    process.send_signal(signal.SIGKILL)
    process.communicate()
    store = Store(tmp_path)
    assert leftovers(store) == []
    assert store.get("sketch", KEY) is None
    checkpoint = store.workdir("sketch", KEY) / "checkpoint"
    assert checkpoint.read_text() == "epoch 3"
    assert not store.produce("sketch", KEY, {}, written()).cached
    assert not checkpoint.exists()


WRITERS = """
import os
import numpy as np
def python(path):
    path.write_bytes(b"x" * 2_000_000)
def numpy(path):
    np.zeros(500_000, np.float32).tofile(path)
def safetensors(path):
    from safetensors.numpy import save_file
    save_file({"large": np.zeros(500_000, np.float32)}, path)
def onnxruntime(path):
    import onnxruntime
    from onnx import helper, numpy_helper
    weights = numpy_helper.from_array(np.zeros(500_000, np.float32), "w")
    x, y = (helper.make_tensor_value_info(name, 1, [500_000]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [x], [y], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
def checkpoint(path):
    import torch
    from paretune.profiles.files import whole_file
    with whole_file(path) as file:
        torch.save(torch.zeros(500_000), file)
"""
FILE_TOO_LARGE = f"""{WRITERS}
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
store = Store(Path(sys.argv[1]))
for number, writer in enumerate((python, numpy, safetensors, onnxruntime)):
    try:
        store.produce("sketch", f"{{number:064x}}", {{}}, lambda into: writer(into / "large"))
    except Exception as error:
        print(type(error).__name__, error, list((store.root / ".making").iterdir()), end="\\0")
"""


def test_a_file_beyond_the_limit_is_reported_and_leaves_nothing(tmp_path):
    output, _ = child(FILE_TOO_LARGE, tmp_path)
    told = output.split("\0")[:-1]
    assert len(told) == 4
    for one in told:
        assert one.startswith("UserError")
        assert "no space left for the store" in one
        assert one.endswith("[]")
    assert "MB free after 0.1 MB" in told[0]
    assert not Store(tmp_path).produce("sketch", KEY, {}, written()).cached


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 1 MB, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True)
    if mount.returncode:
        pytest.skip("mounting needs privileges; the limit on file sizes is tested in any case")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("writer", ["python", "numpy", "safetensors", "onnxruntime", "checkpoint"])
def test_a_full_disk_is_reported_leaves_nothing_and_can_be_mended(small_disk, writer):
    def make(directory: Path):
        writers: dict = {}
        exec(WRITERS, writers)
        writers[writer](directory / "large")
        return {}

    store = Store(small_disk)
    (small_disk / "other").write_bytes(b"x" * 500_000)
    with pytest.raises(UserError, match=r"no space left for the store\n  found: 0\.\d MB free"):
        store.produce("sketch", KEY, {}, make)
    assert leftovers(store) == []
    assert store.get("sketch", KEY) is None
    assert not store.produce("sketch", KEY, {}, written()).cached


READ_ONLY = """
root = Path(sys.argv[1])
if os.geteuid() == 0:
    os.setuid(65534)
store = Store(root)
print(store.get("sketch", sys.argv[2]).meta, flush=True)
try:
    store.produce("sketch", "0" * 64, {}, lambda directory: {})
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_store_that_cannot_be_written_is_still_read():
    with tempfile.TemporaryDirectory() as name:  # pytest's own directories are closed to other users
        root = Path(name) / "store"
        Store(root).produce("sketch", KEY, {}, written())
        directories = [Path(name), root, *(path for path in root.rglob("*") if path.is_dir())]
        for path in directories:
            path.chmod(0o555)
        output, errors = child(READ_ONLY, root, KEY)
        for path in directories:
            path.chmod(0o755)
    assert "'length': 5" in output, errors
    assert "UserError" in output
    assert "the store cannot be written" in output
    assert "name another one for the store" in output


def test_a_file_in_the_place_of_the_store_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="the store cannot be written"):
        Store(tmp_path / "file")


def test_a_full_disk_is_said_once_where_one_entry_is_made_for_another(tmp_path):
    store = Store(tmp_path / "store")

    def full(into):
        with Path("/dev/full").open("wb", buffering=0) as device:  # writes to it fail as on a full disk
            device.write(b"x")
        return {}

    with pytest.raises(UserError, match="no space left") as caught:
        store.produce("outer", "1" * 64, {}, lambda into: store.produce("inner", "2" * 64, {}, full).meta)
    assert str(caught.value).count("no space left for the store") == 1
