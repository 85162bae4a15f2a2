"""What was tried of how an artifact is deployed, and what of it is worth having."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...profiles.quantity import Quantity
from .setting import Setting

THREADS, BATCH = "threads", "batch"


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One thing that can be set: `threads`, `batch` or an option of the runtime, with the values to be tried
    beside the `default`. `compiled`: another value makes another artifact; `exact`: none changes what
    the model computes beyond the last bits."""

    name: str
    default: str
    values: tuple[str, ...]
    compiled: bool = False
    exact: bool = True

    def set_in(self, setting: Setting, value: str) -> Setting:
        """The setting with this value."""
        if self.name == THREADS:
            return replace(setting, threads=int(value))
        if self.name == BATCH:
            return replace(setting, batch=int(value))
        told = dict(setting.compiled_with if self.compiled else setting.options) | {self.name: value}
        said = tuple((name, one) for name, one in told.items() if (name, one) != (self.name, self.default))
        return replace(setting, compiled_with=said) if self.compiled else replace(setting, options=said)

    def value_in(self, setting: Setting) -> str:
        """What a setting has here."""
        if self.name in (THREADS, BATCH):
            return str(getattr(setting, self.name))
        return dict((*setting.options, *setting.compiled_with)).get(self.name, self.default)


def changes(setting: Setting, default: Setting) -> dict[str, str]:
    """What a setting has otherwise than the default, by name."""
    plain = {name: str(getattr(setting, name)) for name in (THREADS, BATCH)}
    before = {name: str(getattr(default, name)) for name in (THREADS, BATCH)}
    told = dict((*setting.compiled_with, *setting.options))
    return {name: value for name, value in plain.items() if value != before[name]} | told


@dataclass(frozen=True, kw_only=True)
class Try:
    """A setting that was tried. `ratio_to_default` is its time per sample over that of the default in the
    same rounds: below 1 is faster (None: it could not be measured). `note` says why it counts no further."""

    setting: Setting
    ratio_to_default: Quantity | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a finalist's artifact is run with, and how that was found.

    `ratio_to_default` is that of the chosen setting, measured afresh in new processes beside the default
    (None where the default stays); `tried` has what the search measured, `rejected` the setting that was the
    best there and did not hold what it promised, with its fresh ratio. `artifact_key` names the artifact
    where it is not the trial's own. `untried` says what was left out, and why.
    """

    default: Setting
    chosen: Setting
    tried: tuple[Try, ...] = ()
    ratio_to_default: Quantity | None = None
    rejected: Try | None = None
    artifact_key: str = ""
    untried: tuple[str, ...] = ()

    @property
    def changes(self) -> dict[str, str]:
        """What is chosen otherwise than the default, by name."""
        return changes(self.chosen, self.default)
