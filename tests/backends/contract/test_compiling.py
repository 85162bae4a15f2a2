"""What a conversion gives, kept in a file for other backends."""

from paretune.backends.contract.compiling import Converted


def test_all_that_was_read_back_survives_a_file(tmp_path):
    made = Converted(
        content=b"\x00\xffmodel",
        weight_bytes={"int8": 3, "float32": 4},
        covered=None,
        kept_weights=2,
        sizes={"a layer": 5},
        stored_as={"a layer": "int8"},
        zeros={"the model": (0.5, 0.25)},
        zero_share=0.25,
        notes=("one", "two"),
    )
    made.save(tmp_path / "made.npz")
    assert Converted.load(tmp_path / "made.npz") == made
