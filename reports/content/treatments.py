"""What the ladder changed about a candidate, in words."""

from __future__ import annotations

from ...profiles.words import listed
from ...search.record.treatment import CALIBRATION, MIXED, QAT, Treatment

LISTED_LAYERS = 8
TAGS = {CALIBRATION: "calibrated anew", MIXED: "mixed precision", QAT: "trained quantized"}


def treatment_tags(treatment: Treatment) -> tuple[str, ...]:
    """What the ladder changed about a candidate, in a word each."""
    anew = treatment.calibration_method or treatment.calibration_samples or treatment.calibration_draw
    there = ((CALIBRATION, bool(anew)), (MIXED, bool(treatment.keep_float)), (QAT, treatment.qat is not None))
    return tuple(TAGS[name] for name, used in there if used)


def treatment_texts(treatment: Treatment) -> list[str]:
    """What the artifact differs in from what its candidate alone says."""
    texts = []
    calibration = [treatment.calibration_method]
    calibration += [f"{treatment.calibration_samples} samples"] if treatment.calibration_samples else []
    calibration += [f"random draw {treatment.calibration_draw}"] if treatment.calibration_draw else []
    if any(calibration):
        texts.append(f"calibration {', '.join(filter(None, calibration))}")
    if treatment.keep_float:
        texts.append(f"kept in float: {listed(treatment.keep_float, LISTED_LAYERS)}")
    if treatment.qat is not None:
        plan = treatment.qat
        inputs = f"{plan.activation_bits}-bit activations" if plan.activation_bits else "float activations"
        texts.append(
            f"quantization-aware training for {plan.weight_bits}-bit weights and {inputs}, "
            f"{plan.epochs} epochs"
        )
    return texts
