import numpy as np
from paretune.search.stages.device.arrays_file import save_arrays


def test_any_name_and_type_survives(tmp_path):
    arrays = {
        "file": np.arange(6, dtype=np.int64).reshape(2, 3),
        "input.1:0": np.ones((1, 2), np.float16),
        "transposed": np.arange(6.0).reshape(2, 3).T,
    }
    save_arrays(tmp_path / "some.npz", arrays)
    with np.load(tmp_path / "some.npz") as found:
        assert set(found.files) == set(arrays)
        for name, array in arrays.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)
