"""What all sections of a study file are."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A mapping of keys to values: an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _nothing_after_the_colon(cls, values: object) -> object:
        # What is left of a list whose lines were all commented out means: left out.
        return {k: v for k, v in values.items() if v is not None} if isinstance(values, dict) else values
