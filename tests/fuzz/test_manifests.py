"""Manifests that somebody changed, of entries of a store and of bundles: what they name is read as it was
written, or is damaged, or ends in one error; nothing outside of their folder is ever opened."""

import contextlib
import importlib.util
import io
import json
import shutil
import sys
from pathlib import Path

import pytest
from contracts.stored_artifacts import stored
from hypothesis import given
from hypothesis import strategies as st
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.reports.bundle.write import export_bundle
from paretune.search.bundles.bundle import damages, read_bundle
from paretune.search.bundles.files import is_bundle, is_whole
from paretune.search.record.candidate import Candidate
from paretune.search.record.digest import digest_of
from paretune.search.record.evaluation import Evaluation, Outcome, StudyRecord, TrialRecord
from paretune.search.store.manifest import MANIFEST
from paretune.search.store.store import Store

NAMES = ["../secret", "../../secret", "/etc/passwd", "/dev/zero", "/proc/kmsg", "pipe", ".", "..", "", "\0"]
NAMES += [
    "link",
    "model.onnx",
    "sample.npz",
    "run.py",
    MANIFEST,
    "files",
    "sha256",
    "n" * 300,
    "\ud800",
    "a/b",
]
texts = st.sampled_from(NAMES) | st.text(max_size=8)
numbers = st.integers() | st.floats() | st.sampled_from([10**30, -1, 0, 2**63, 1e308])
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def changed_values(draw, plain):
    """The value with one to three of its parts replaced, removed, renamed or added to."""
    changed = json.loads(json.dumps(plain))
    for _ in range(draw(st.integers(1, 3))):
        holder = changed
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(holder[key], dict | list) and draw(st.booleans()):
                holder = holder[key]
                continue
            change = draw(st.sampled_from(["replace", "replace", "remove", "rename"]))
            if change == "replace":
                holder[key] = draw(values)
            elif change == "rename" and isinstance(holder, dict):
                holder[draw(texts)] = holder.pop(key)
            else:
                del holder[key]
            break
    return changed


@st.composite
def changed_bytes(draw, content):
    """The bytes with some of them replaced, or cut off at some place."""
    changed = bytearray(content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content)
    for _ in range(draw(st.integers(0, 4)) if changed else 0):
        changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
    return bytes(changed)


class Place:
    """A store with one entry, that entry's content as it was, and a bundle of it."""

    def __init__(self, root: Path) -> None:
        self.root, self.store = root, Store(root / "store")
        self.key = stored(self.store.root, "ort")
        self.entry = self.store.root / "compile" / self.key
        (root / "secret").write_text("secret")
        (root / "store" / "secret").write_text("secret")
        self.whole = root / "whole"
        shutil.copytree(self.entry, self.whole)
        self.files = {file.read_bytes() for file in self.whole.iterdir()}
        self.bundle = export_bundle(self.record(), 0, root / "bundle")
        (self.bundle / "link").symlink_to("../secret")
        (self.whole / "link").symlink_to("../../../secret")

    def record(self) -> StudyRecord:
        candidate = Candidate(backend="ort", precision=Precision.FP32)
        evaluation = Evaluation(candidate=candidate, outcome=Outcome.COMPLETE, artifact_key=self.key)
        trial = TrialRecord(number=0, evaluation=evaluation, started=0.0, seconds=1.0)
        return StudyRecord(
            name="study",
            study_text="",
            workload="w",
            profile="host",
            quality="accuracy",
            objectives=(),
            limits=(),
            trials=(trial,),
            masked=(),
            environment={},
            store=str(self.store.root),
        )

    def plain(self):
        found = json.loads((self.whole / MANIFEST).read_text())
        return {name: value for name, value in found.items() if name != "digest"}

    def exported(self, manifest: bytes) -> None:
        """The changed entry is read, or made away with; what is read of it can be exported, or is refused."""
        shutil.rmtree(self.entry, ignore_errors=True)
        shutil.copytree(self.whole, self.entry, symlinks=True)
        (self.entry / MANIFEST).write_bytes(manifest)
        glanced = Store(self.store.root).glance("compile", self.key)
        found = self.store.get("compile", self.key)
        assert found is not None or not self.entry.exists()
        for entry in filter(None, (glanced, found)):
            for name in entry.files:
                with contextlib.suppress(UserError):
                    assert entry.file(name).resolve().is_relative_to(self.entry.resolve())
        if found is not None:
            into = self.root / "exported"
            with contextlib.suppress(UserError):
                export_bundle(self.record(), 0, into)
                artifact = json.loads((into / MANIFEST).read_text())["artifact"]
                assert (into / artifact).read_bytes() in self.files
            shutil.rmtree(into, ignore_errors=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("place"))


@given(data=st.data())
def test_a_changed_manifest_of_an_entry(place, data):
    if data.draw(st.booleans()):
        place.exported(data.draw(changed_bytes((place.whole / MANIFEST).read_bytes())))
        return
    changed = data.draw(changed_values(place.plain()))
    plain = changed if isinstance(changed, dict) else {"is": changed}
    place.exported(json.dumps({**plain, "digest": digest_of(plain)}).encode())


class Script:
    """A bundle's script as a module, which notes what it opens as a model."""

    def __init__(self, bundle: Path) -> None:
        spec = importlib.util.spec_from_file_location("run_of_a_fuzzed_bundle", bundle / "run.py")
        self.module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        self.opened, self.model = [], self.module.Model
        self.module.Model = self._noted

    def _noted(self, artifact, batch, threads):
        self.opened.append(artifact)
        return self.model(artifact, batch, min(threads, 2))

    def ended(self) -> str | None:
        """What it ends with: a line, or None."""
        self.opened.clear()
        with contextlib.redirect_stdout(io.StringIO()), pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["run.py"])
            try:
                self.module.main()
            except SystemExit as end:
                return str(end.code)
        return None


@pytest.fixture(scope="module")
def script(place):
    return Script(place.bundle)


@given(data=st.data())
def test_a_changed_manifest_of_a_bundle(place, script, data):
    file = place.bundle / MANIFEST
    whole = file.read_bytes()
    if data.draw(st.booleans()):
        changed = data.draw(changed_bytes(whole))
    else:
        changed = json.dumps(data.draw(changed_values(json.loads(whole)))).encode()
    file.write_bytes(changed)
    try:
        assert is_bundle(place.bundle) or not is_whole(place.bundle)
        with contextlib.suppress(UserError):
            found = read_bundle(place.bundle)
            assert not damages(found) or not is_whole(place.bundle)
            assert found.artifact.resolve().is_relative_to(place.bundle.resolve())
        told = script.ended()
    finally:
        file.write_bytes(whole)
    assert told is None or len(told.splitlines()) == 1
    assert {path.resolve().parent for path in script.opened} <= {place.bundle}
