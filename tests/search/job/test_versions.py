"""Versions that differ between a device and this machine are told before a study begins."""

import numpy as np
from paretune.profiles.packages import differing
from paretune.search.job.reached import other_versions


def test_what_differs_is_named_with_both_versions():
    (remark,) = other_versions({"packages": {"numpy": "0.1", "onnxruntime": "99.0"}})
    assert f"numpy 0.1 there, {np.__version__} here" in remark
    assert "onnxruntime 99.0 there" in remark


def test_the_same_or_nothing_is_no_remark():
    assert other_versions({"packages": {"numpy": np.__version__}}) == ()
    assert other_versions({"packages": {"of-their-own": "1"}}) == ()
    assert other_versions({}) == ()


def test_only_what_is_on_both_differs():
    assert differing({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "3", "d": "4"}) == {"b": ("2", "3")}
