"""Built-in metrics against scikit-learn, torchmetrics and pycocotools."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import torch
from paretune.profiles.errors import UserError
from paretune.search.record.metrics import metric_info
from paretune.search.workload.metrics import BUILT_IN, built_in
from paretune.search.workload.workload import Workload
from sklearn import metrics as sk

RNG = np.random.default_rng(0)
CLASSES, SCORES = RNG.integers(0, 4, 200), RNG.normal(size=(200, 4))
FLAGS, LOGITS = RNG.integers(0, 2, (200, 3)), RNG.normal(size=(200, 3)).astype(np.float32)
PIXELS, MAPS = RNG.integers(-1, 4, (6, 9, 7)), RNG.normal(size=(6, 4, 9, 7))
TOKENS, STEPS = (
    np.where(RNG.random((20, 8)) < 0.3, -100, RNG.integers(0, 5, (20, 8))),
    RNG.normal(size=(20, 8, 5)),
)


def scored(name, outputs, labels):
    return built_in(name).score(outputs, labels, place="test")


def softmax(x, axis=-1):
    raised = np.exp(x - x.max(axis=axis, keepdims=True))
    return raised / raised.sum(axis=axis, keepdims=True)


def test_accuracy():
    assert scored("accuracy", SCORES, CLASSES) == pytest.approx(sk.accuracy_score(CLASSES, SCORES.argmax(1)))
    there = PIXELS >= 0
    wanted = sk.accuracy_score(PIXELS[there], MAPS.argmax(1)[there])
    assert scored("accuracy", MAPS, PIXELS) == pytest.approx(wanted)
    assert scored("accuracy", np.moveaxis(MAPS, 1, -1), PIXELS) == pytest.approx(wanted)
    for outputs in (LOGITS, 1 / (1 + np.exp(-LOGITS))):
        assert scored("accuracy", outputs, FLAGS) == pytest.approx(((LOGITS > 0) == FLAGS).mean())
    assert scored("accuracy", CLASSES, CLASSES) == 1.0


def test_f1_macro():
    wanted = sk.f1_score(CLASSES, SCORES.argmax(1), average="macro")
    assert scored("f1_macro", SCORES, CLASSES) == pytest.approx(wanted)
    wanted = sk.f1_score(FLAGS, LOGITS > 0, average="macro")
    assert scored("f1_macro", LOGITS, FLAGS) == pytest.approx(wanted)
    there = TOKENS >= 0
    wanted = sk.f1_score(TOKENS[there], STEPS.argmax(-1)[there], average="macro")
    assert scored("f1_macro", STEPS, TOKENS) == pytest.approx(wanted)


def test_auc():
    wanted = sk.roc_auc_score(CLASSES, softmax(SCORES), multi_class="ovr", average="macro")
    assert scored("auc", SCORES, CLASSES) == pytest.approx(wanted)
    assert scored("auc", softmax(SCORES), CLASSES) == pytest.approx(wanted)
    assert scored("auc", LOGITS, FLAGS.astype(np.float32)) == pytest.approx(
        sk.roc_auc_score(FLAGS, LOGITS, average="macro")
    )
    two = np.round(SCORES[:, :2], 1)  # with ties
    wanted = sk.roc_auc_score(FLAGS[:, 0], two[:, 1] - two[:, 0])
    assert scored("auc", two, FLAGS[:, 0]) == pytest.approx(wanted)
    assert scored("auc", two[:, 1:], FLAGS[:, 0]) == pytest.approx(sk.roc_auc_score(FLAGS[:, 0], two[:, 1]))


def test_numbers():
    wanted, found = RNG.normal(size=(50, 2)), RNG.normal(size=(50, 2)).astype(np.float32)
    assert scored("rmse", found, wanted) == pytest.approx(
        sk.root_mean_squared_error(wanted.ravel(), found.ravel())
    )
    assert scored("mae", found, wanted) == pytest.approx(sk.mean_absolute_error(wanted, found))
    assert scored("mae", found[:, :1], wanted[:, 0]) == pytest.approx(
        np.abs(found[:, 0] - wanted[:, 0]).mean()
    )


def test_psnr():
    from torchmetrics.functional.image import peak_signal_noise_ratio

    for peak in (1.0, 255.0):
        wanted = (RNG.random((4, 3, 8, 8)) * peak).astype(np.float32)
        found = np.clip(wanted + RNG.normal(size=wanted.shape).astype(np.float32) * peak / 20, 0, peak)
        reference = peak_signal_noise_ratio(
            torch.from_numpy(found), torch.from_numpy(wanted), data_range=peak
        )
        assert scored("psnr", found, wanted) == pytest.approx(float(reference), abs=1e-3)


def test_miou():
    from torchmetrics.functional.classification import multiclass_jaccard_index

    there = PIXELS >= 0
    wanted = sk.jaccard_score(PIXELS[there], MAPS.argmax(1)[there], average="macro")
    assert scored("miou", MAPS, PIXELS) == pytest.approx(wanted)
    reference = multiclass_jaccard_index(
        torch.from_numpy(MAPS.argmax(1)), torch.from_numpy(PIXELS), num_classes=4, ignore_index=-1
    )
    assert scored("miou", MAPS, PIXELS) == pytest.approx(float(reference))
    wanted = sk.jaccard_score(FLAGS, LOGITS > 0, average="macro")
    assert scored("miou", LOGITS, FLAGS) == pytest.approx(wanted)


def test_perplexity():
    from torchmetrics.functional.text import perplexity

    wanted = perplexity(torch.from_numpy(STEPS), torch.from_numpy(TOKENS), ignore_index=-100)
    assert scored("perplexity", STEPS, TOKENS) == pytest.approx(float(wanted))
    assert scored("perplexity", softmax(STEPS), TOKENS) == pytest.approx(float(wanted))


def drawn_boxes(images=12, most=6):
    """True boxes padded with class -1, and answers of which some lie near them."""
    labels, outputs = np.full((images, most, 5), -1.0), np.zeros((images, most + 3, 6))
    for image in range(images):
        count = int(RNG.integers(0 if image else 1, most + 1))
        corner, size = RNG.random((count, 2)) * 60, 15 + RNG.random((count, 2)) * 25
        labels[image, :count] = np.hstack([corner, corner + size, RNG.integers(0, 3, (count, 1))])
        near = labels[image, :count, :4] + RNG.normal(size=(count, 4)) * 4
        kinds = np.where(RNG.random(count) < 0.8, labels[image, :count, 4], RNG.integers(0, 3, count))
        outputs[image, :count] = np.hstack([near, RNG.random((count, 1)), kinds[:, None]])
        corner = RNG.random((3, 2)) * 60
        stray = np.hstack([corner, corner + 20, RNG.random((3, 1)), RNG.integers(0, 3, (3, 1))])
        outputs[image, count : count + 3] = stray
    return outputs, labels


def by_coco(outputs, labels):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def plain(box):
        return [float(v) for v in (box[0], box[1], box[2] - box[0], box[3] - box[1])]

    truth = [
        {
            "image_id": i,
            "category_id": int(b[4]),
            "bbox": plain(b),
            "area": plain(b)[2] * plain(b)[3],
            "iscrowd": 0,
        }
        for i, boxes in enumerate(labels)
        for b in boxes
        if b[4] >= 0
    ]
    found = [
        {"image_id": i, "category_id": int(b[5]), "bbox": plain(b), "score": float(b[4])}
        for i, boxes in enumerate(outputs)
        for b in boxes
        if b[4] > 0
    ]
    coco = COCO()
    coco.dataset = {
        "images": [{"id": i} for i in range(len(labels))],
        "annotations": [{"id": n + 1, **one} for n, one in enumerate(truth)],
        "categories": [{"id": c} for c in range(3)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(found), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[1])


def test_map50():
    for _ in range(3):
        outputs, labels = drawn_boxes()
        wanted = by_coco(outputs, labels)
        assert 0.1 < wanted < 0.95
        assert scored("map50", outputs, labels) == pytest.approx(wanted, abs=1e-6)
        named = {"boxes": outputs[..., :4], "scores": outputs[..., 4], "labels": outputs[..., 5].astype(int)}
        assert scored("map50", named, labels) == pytest.approx(wanted, abs=1e-6)


def test_each_has_its_direction_and_a_name_that_workloads_may_use():
    lower = {"rmse", "mae", "perplexity"}
    for name, metric in BUILT_IN.items():
        assert Workload(name="w", splits=lambda: None, metric=name).metric is metric
        assert metric.higher_is_better == (name not in lower) == metric_info(name).higher_is_better
    assert metric_info("psnr").unit == "dB"
    with pytest.raises(UserError, match=r"(?s)'mape'.*f1_macro"):
        Workload(name="w", splits=lambda: None, metric="mape")
