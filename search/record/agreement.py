"""Whether a device computes what this machine computes from one and the same file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...profiles.errors import StageError

STAGE = "agree"
HERE, FLOAT_MODEL = "here", "the float model"
MEND_DEVICE = (
    "install another version of the runtime on the device, or run it there without its delegate, and tell "
    "the runtime's makers, who need the artifact and the versions"
)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Outputs of one artifact on the device, held against those of the same file here.

    `output` is the one with the least room, `samples` how many were computed. Differences are root mean
    squares as a share of what differs between samples: `off` over all samples and `worst` of a single one,
    with the most of each that is `allowed`; of whole numbers, the share of values that differ. `own` is what
    the precision costs (None: not known). `flipped` samples have another largest score there (None: no
    scores). `here` and `there` are versions of the runtime's packages. `why` says what disagrees; `known` why
    a difference is the device's own arithmetic, and no fault. `against` is "here", or "the float model" where
    the file does not run here.
    """

    agrees: bool
    output: str
    samples: int
    off: float = 0.0
    allowed: float = 0.0
    worst: float = 0.0
    worst_allowed: float = 0.0
    own: float | None = None
    flipped: int | None = None
    device: str = ""
    here: Mapping[str, str] = field(default_factory=dict)
    there: Mapping[str, str] = field(default_factory=dict)
    why: str = ""
    known: str = ""
    against: str = HERE


class ComputesWronglyError(StageError):
    """The runtime on the device computes wrongly: it says nothing about the candidate, and is nothing that a
    ladder could mend."""

    def __init__(self, agreement: Agreement) -> None:
        self.agreement = agreement
        super().__init__(STAGE, cause_of(agreement))


def cause_of(agreement: Agreement) -> str:
    """In a line: who computes wrongly, by how much, and with which versions."""
    if agreement.against != HERE:
        return (
            f"the artifact computes something else on the device: {agreement.why}. It does not run on this "
            "machine, so whether its compiler or the device is wrong cannot be told apart"
            f"{versions_text(agreement)}"
        )
    return (
        f"the runtime on the device computes wrongly: the same file gives other outputs there than here, "
        f"{agreement.why}{versions_text(agreement)}"
    )


def versions_text(agreement: Agreement) -> str:
    """ " (onnxruntime 1.32.0 there, 1.31.1 here)"; empty where no version is known."""
    named = []
    for name in dict.fromkeys((*agreement.there, *agreement.here)):
        there, here = (versions.get(name, "none") for versions in (agreement.there, agreement.here))
        named.append(f"{name} {there} there, {here} here" if there != here else f"{name} {there} on both")
    return f" ({'; '.join(named)})" if named else ""
