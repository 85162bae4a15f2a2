"""What a maker converted is the same after it was written and read."""

from paretune.backends.contract.compiling import Converted


def test_it_comes_back_whole(tmp_path):
    made = Converted(
        content=b"bytes",
        weight_bytes={"int8": 3, "float32": 4},
        covered={"int8": 3},
        kept_weights=1,
        read_by={("Conv", "float32"): 1, ("LSTM", "float32"): 2},
        sizes={"a": 3},
        stored_as={"a": "int8"},
        zeros={"a": (0.5, 0.25)},
        zero_share=0.25,
        notes=("told",),
    )
    made.save(tmp_path / "made.npz")
    assert Converted.load(tmp_path / "made.npz") == made
