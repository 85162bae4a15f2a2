"""A model that exists only as ONNX: nothing is trained; precision, calibration and backend are searched.

`python examples/onnx_only.py` makes `digits.onnx` beside this file, in about ten seconds. It stands for a
model that somebody handed over without its training code.
"""

from __future__ import annotations

from pathlib import Path

from digits import build_student, load_splits, train_teacher
from paretune import Workload

MODEL = Path(__file__).with_name("digits.onnx")

workload = Workload(name="digits-onnx", splits=load_splits, onnx=MODEL)


def make_model(path: Path = MODEL) -> None:
    """Train a small network and write it as ONNX with a free batch size."""
    import torch

    torch.manual_seed(0)
    splits = load_splits()
    model = build_student(width=1.0, depth=2)
    train_teacher(model, splits, epochs=4)
    model.eval()
    sample = torch.from_numpy(splits.train.inputs["image"][:2])
    torch.onnx.export(
        model,
        (sample,),
        path,
        input_names=["image"],
        output_names=["logits"],
        opset_version=18,
        dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
        dynamo=True,
        external_data=False,
        verbose=False,
    )


if __name__ == "__main__":
    make_model()
    print(f"wrote {MODEL} ({MODEL.stat().st_size / 1e6:.1f} MB)")
