"""The examples that read their data from a path, on data of the same form written here."""

from __future__ import annotations

import inspect
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from paretune.backends.contract.backend import CompileSettings
from paretune.backends.ort.backend import OrtBackend
from paretune.backends.registry import get_backend
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.search.job.study_file import load_study_file
from paretune.search.stages.models.export import export
from paretune.search.stages.models.model_checks import check_model
from paretune.search.workload.loader import load_workload
from paretune.search.workload.split_checks import check_splits
from scipy.io import wavfile

EXAMPLES = Path(__file__).parents[2] / "examples"
STUDIES = sorted(path.name for path in EXAMPLES.glob("*.yaml"))
ASKED = ("Who wrote", "What is", "Where was", "When did", "How far is", "Why does")


def shape_of(outputs):
    return next(iter(outputs.values())).shape[1:]


def loaded(name, **options):
    return load_workload(name, EXAMPLES, options)


def write_questions(folder, names=("train.txt", "test.txt")):
    """60 questions in each of six classes to learn from, 5 to test, and one that is in both files."""
    folder.mkdir(exist_ok=True)
    for name, numbers in zip(names, (range(60), range(100, 105)), strict=True):
        lines = [f"{c} {ASKED[c]} thing{n} Münster ?" for n in numbers for c in range(6)]
        lines += [f"0 {ASKED[0]} thing7 Münster ?"] * (name == names[1])
        (folder / name).write_bytes("\n".join(lines).encode("latin-1"))
    return folder


@pytest.fixture
def trec(tmp_path):
    return loaded("trec.py", data=str(write_questions(tmp_path / "trec")))


def test_questions_are_split_without_overlap(trec):
    splits = trec.splits
    check_splits(splits)
    assert len(splits.test) == 31
    assert [len(splits.validation), len(splits.calibration)] == [60, 13]
    assert len(splits.train) > 3 * (360 - 60 - 13 - 1)  # with copies
    assert all(split.inputs["tokens"].shape[1] == 24 for _, split in splits.items())


def test_a_test_question_leaves_training(trec):
    tokens = {tuple(row) for row in trec.splits.train.inputs["tokens"]}
    assert not tokens & {tuple(row) for row in trec.splits.test.inputs["tokens"]}


def test_the_names_of_the_original_files_are_read_too(trec, tmp_path):
    write_questions(tmp_path / "original", ("TREC.train.all", "TREC.test.all"))
    other = loaded("trec.py", data=str(tmp_path / "original"))
    assert other.data_digests == trec.data_digests


def test_without_questions_it_says_where_to_get_them(tmp_path):
    with pytest.raises(UserError, match=r"(?s)missing.*harvardnlp/sent-conv-torch.*options: \{data: PATH\}"):
        loaded("trec.py", data=str(tmp_path))


def test_padding_does_not_change_the_answer(trec):
    model = trec.workload.student(layers=2, width=32).eval()
    tokens = torch.tensor([[700, 3, 9, 12] + [0] * 20])
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), model(tokens[:, :4]))


def test_question_students_have_the_teachers_outputs(trec):
    workload, train = trec.workload, trec.splits.train
    models = [workload.teacher(), *(workload.student(layers=n, width=w) for n in (1, 2) for w in (32, 128))]
    assert {shape_of(check_model(model, train, workload.metric, "model")) for model in models} == {(6,)}
    sizes = [sum(p.numel() for p in model.parameters()) for model in models]
    assert sizes[0] > 3_000_000
    assert sizes[1] < sizes[2] < sizes[0] / 3


@pytest.mark.slow
def test_the_question_teacher_learns_and_keeps_its_best_epoch(trec):
    model, splits = trec.workload.student(layers=1, width=32), trec.splits
    torch.manual_seed(0)
    inspect.getmodule(trec.workload.teacher).train_teacher(model, splits, epochs=3)
    with torch.no_grad():
        answers = model.eval()(torch.from_numpy(splits.test.inputs["tokens"])).argmax(dim=1).numpy()
    assert np.mean(answers == splits.test.labels) > 0.5


def write_recordings(folder, rate=8000):
    """One speaker says each digit, a tone of its own, for each split once or twice."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for digit in range(10):
        for index in (0, 5, 10, 12, 13):
            length = int(random.integers(1500, 9000))
            tone = np.sin(np.arange(length) * 2 * np.pi * (300 + 150 * digit) / rate)
            sound = (tone * 9000 + random.normal(0, 300, length)).astype(np.int16)
            wavfile.write(folder / f"{digit}_anna_{index}.wav", rate, sound)
    return folder


@pytest.fixture
def spoken(tmp_path):
    return loaded("spoken_digits.py", data=str(write_recordings(tmp_path / "recordings")))


def test_recordings_are_split_by_the_official_rule(spoken):
    splits = spoken.splits
    check_splits(splits)
    assert [len(split) for _, split in splits.items()] == [80, 10, 10, 10]
    assert splits.train.inputs["sound"].shape[1:] == (1, 49, 40)


def test_a_zip_file_gives_what_its_folder_gives(spoken, tmp_path):
    with zipfile.ZipFile(tmp_path / "fsdd.zip", "w") as archive:
        for path in (tmp_path / "recordings").iterdir():
            archive.write(path, f"recordings/{path.name}")
    assert loaded("spoken_digits.py", data=str(tmp_path / "fsdd.zip")).data_digests == spoken.data_digests


def test_without_recordings_it_says_where_to_get_them(tmp_path):
    with pytest.raises(UserError, match=r"(?s)missing.*no .*nowhere.*Jakobovski/free-spoken-digit-dataset"):
        loaded("spoken_digits.py", data=str(tmp_path / "nowhere"))


def test_a_recording_at_another_rate_is_refused(tmp_path):
    workload = loaded("spoken_digits.py", data=str(write_recordings(tmp_path / "fast", rate=16000)))
    with pytest.raises(UserError, match=r"(?s)0_anna_0\.wav.*16000 Hz.*accepted: 8000 Hz, 16 bits, mono"):
        workload.splits  # noqa: B018


def test_a_tone_is_loudest_in_its_own_band(spoken):
    module = inspect.getmodule(spoken.workload.teacher)
    tone = np.sin(np.arange(8000) * 2 * np.pi * 1000 / 8000).astype(np.float32)
    loudest = module.features(tone[None])[0, 0].argmax(axis=1)
    mel = [1127 * np.log1p(hertz / 700) for hertz in (60, 1000, 4000)]
    band = (mel[1] - mel[0]) / (mel[2] - mel[0]) * 41 - 1
    assert set(loudest) == {round(band)}


def test_spoken_students_have_the_teachers_outputs(spoken):
    workload, train = spoken.workload, spoken.splits.train
    students = [workload.student(width=w, depth=d) for w in (16, 64) for d in (2, 4)]
    teacher = workload.teacher()
    shapes = {shape_of(check_model(model, train, workload.metric, "model")) for model in (teacher, *students)}
    assert shapes == {(10,)}
    sizes = [sum(p.numel() for p in model.parameters()) for model in (teacher, *students)]
    assert sizes[0] > 500_000
    assert max(sizes[1:]) < 30_000


@pytest.mark.slow
def test_hugging_face_runs_without_any_download():
    workload = loaded("huggingface.py")
    check_splits(workload.splits)
    teacher = workload.workload.teacher()
    assert shape_of(check_model(teacher, workload.splits.train, workload.workload.metric, "teacher")) == (10,)


@pytest.mark.slow
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_hugging_face_compiles_for_onnx_runtime(tmp_path, precision):
    # Fused once in preparation and again as it was loaded, this model held two constants of one name.
    workload = loaded("huggingface.py")
    data = {name: array[:16] for name, array in workload.splits.calibration.inputs.items()}
    torch.manual_seed(0)
    source = export(workload.workload.teacher().eval(), data, get_backend("ort"), 1, tmp_path)
    (tmp_path / "compiled").mkdir()
    settings = CompileSettings(precision=precision, batch=1)
    artifact = OrtBackend().compile(source, settings, data, tmp_path / "compiled")
    assert artifact.size_bytes < source.path.stat().st_size * (1.05 if precision is Precision.FP32 else 0.5)


@pytest.mark.slow
def test_hugging_face_takes_a_saved_model_with_its_tokenizer(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    words = {word: number for number, word in enumerate(("[PAD]", "[UNK]", *" ".join(ASKED).split()))}
    words.update({f"thing{number}": len(words) + number for number in range(200)})
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(
        tmp_path / "model"
    )
    config = BertConfig(
        vocab_size=300, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    config.num_labels = 6
    saved = BertForSequenceClassification(config).eval()
    saved.save_pretrained(tmp_path / "model")
    data = write_questions(tmp_path / "data")
    workload = loaded("huggingface.py", model=str(tmp_path / "model"), data=str(data), epochs=0)
    check_splits(workload.splits)
    ids, mask = workload.splits.test.inputs.values()
    assert ids.shape == mask.shape == (31, 24)
    assert mask.sum(axis=1).max() < 10
    teacher = workload.workload.teacher().eval()
    assert workload.workload.train_teacher is None
    with torch.no_grad():
        feed = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        torch.testing.assert_close(teacher(**feed), saved(**feed).logits)


@pytest.mark.parametrize("name", STUDIES)
def test_each_study_file_is_read_and_fits_its_example(name):
    study = load_study_file(EXAMPLES / name)
    assert (EXAMPLES / study.workload.file).is_file()
    source = (EXAMPLES / study.workload.file).read_text()
    assert "onnx=" in source or study.space.student
    if "def build_student" in source:
        arguments = source.partition("def build_student(")[2].partition(")")[0]
        assert set(study.space.student) == {part.split(":")[0].strip() for part in arguments.split(",")}
