"""Arrays of other forms: brought into form without a change of any value, or refused by split and name."""

from dataclasses import replace

import numpy as np
import pytest
from paretune.profiles.errors import UserError
from paretune.search.workload.arrays import brought_into_form
from paretune.search.workload.content import split_digest
from paretune.search.workload.loader import load_workload
from paretune.search.workload.one_sided import one_sided
from paretune.search.workload.workload import Split, Splits

X = np.arange(24, dtype=np.float32).reshape(6, 4)
Y = np.array([0, 1, 2, 0, 1, 2])
PLAIN = Split(inputs={"x": X}, labels=Y)


def splits(**changed):
    return Splits(
        **{name: changed.get(name, PLAIN) for name in ("train", "calibration", "validation", "test")}
    )


def memmap(folder):
    np.save(folder / "x.npy", X)
    return np.load(folder / "x.npy", mmap_mode="r")


FORMS = {
    "big-endian": (lambda _: X.astype(">f4"), lambda _: Y.astype(">i8")),
    "unsigned": (lambda _: X, lambda _: Y.astype(np.uint16)),
    "wide unsigned": (lambda _: X, lambda _: Y.astype(np.uint64)),
    "turned round": (lambda _: X[::-1][::-1], lambda _: Y[::-1][::-1]),
    "by columns": (lambda _: np.asfortranarray(X), lambda _: Y),
    "every second": (lambda _: np.repeat(X, 2, axis=0)[::2], lambda _: np.repeat(Y, 2)[::2]),
    "mapped, read-only": (memmap, lambda _: Y),
    "masked, with nothing masked": (lambda _: np.ma.array(X), lambda _: Y),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_can_be_brought_into_form_is(form, tmp_path):
    x, y = (make(tmp_path) for make in FORMS[form])
    found = brought_into_form(splits(validation=Split(inputs={"x": x}, labels=y))).validation
    for got, wanted in ((found.inputs["x"], X), (found.labels, Y)):
        assert type(got) is np.ndarray
        assert got.dtype == wanted.dtype
        assert got.dtype.isnative
        assert got.flags.c_contiguous
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.uint8, np.int32, np.bool_])
def test_types_that_a_model_may_take_stay(dtype):
    found = brought_into_form(splits(train=Split(inputs={"x": X.astype(dtype)}, labels=Y))).train
    assert found.inputs["x"].dtype == dtype


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.float32])
def test_types_of_labels_that_mean_something_stay(dtype):
    assert (
        brought_into_form(splits(train=replace(PLAIN, labels=(Y > 0).astype(dtype)))).train.labels.dtype
        == dtype
    )


@pytest.mark.parametrize(
    ("split", "named"),
    [
        (Split(inputs={"x": X.astype(object)}, labels=Y), "input 'x'"),
        (Split(inputs={"x": X.astype(np.longdouble)}, labels=Y), "input 'x'"),
        (Split(inputs={"x": np.array(["a"] * 6)}, labels=Y), "input 'x'"),
        (Split(inputs={"x": np.ma.masked_greater(X, 20)}, labels=Y), "input 'x'.*masked"),
        (Split(inputs={"x": X}, labels=Y.astype(object)), "labels.*object"),
        (Split(inputs={"x": X}, labels=np.full(6, 2**64 - 1, np.uint64)), "labels.*uint64"),
        (Split(inputs={"x": X}, labels=Y.astype("M8[D]")), "labels.*datetime64"),
        (Split(inputs={0: X}, labels=Y), "inputs are not named by text"),
        (Split(inputs=[X], labels=Y), "inputs are not named by text"),
    ],
)
def test_what_cannot_is_refused_by_split_and_name(split, named):
    with pytest.raises(UserError, match=rf"(?s)split 'test'.*{named}"):
        brought_into_form(splits(test=split))


def test_what_the_user_gave_names_the_content(tmp_path):
    """So that studies of before, whose arrays were fine, keep their keys, and others too."""
    (tmp_path / "work.py").write_text(
        "import numpy as np\nfrom paretune import Split, Splits, Workload\n"
        "one = Split(inputs={'x': np.ones((2, 3), '>f4')}, labels=np.zeros(2, np.uint16))\n"
        "all = Splits(train=one, calibration=one, validation=one, test=one)\n"
        "workload = Workload(name='w', splits=lambda: all, teacher=lambda: None)\n"
    )
    loaded = load_workload("work.py", tmp_path)
    given = Split(inputs={"x": np.ones((2, 3), ">f4")}, labels=np.zeros(2, np.uint16))
    assert loaded.data_digests["train"] == split_digest(given)
    assert loaded.splits.train.inputs["x"].dtype.isnative
    assert loaded.splits.train.labels.dtype == np.int64


RARE = np.array([1] + [0] * 19)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (RARE, True),
        (RARE.astype(np.float32), True),
        (RARE.astype(bool), True),
        (np.where(RARE, 3, 2).reshape(4, 5), True),
        (np.array([-1] * 19 + [0, 1]), False),  # what is left out does not count
        (RARE.reshape(4, 5), False),  # several labels for each sample
        (np.linspace(0, 1, 20), False),
        (np.arange(20) % 3, False),
    ],
)
def test_labels_that_are_nearly_all_one_class_are_remarked(labels, said):
    split = Split(inputs={"x": np.zeros((len(labels), 1), np.float32)}, labels=labels)
    remarks = one_sided(splits(train=split))
    assert bool(remarks) is said
    assert not said or "95.0 % of 'train'" in remarks[0]
