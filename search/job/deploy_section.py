"""What a study file says of how the model is run where it is deployed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from ...profiles.text.named import Line
from ..record.setting import Setting
from .section import Section
from .values import Count, Several, Threads, one_or_many

SEARCH = "search"
"""In the place of options' names: all that a runtime offers."""


def _wanted(said: object) -> object:
    """Options with the values that are wanted of each (none: all of them), however that was written."""
    if isinstance(said, Mapping):
        if said.get(SEARCH) is not None:
            raise ValueError(f"`{SEARCH}` takes no values: it stands for all that there is")
        return {name: _values(value) for name, value in said.items()}
    names = one_or_many(said)
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"is `{SEARCH}`, a list of options' names, or names with their values")
    if not names:
        raise ValueError("is an empty list: leave it out, or name at least one option")
    if len(set(names)) < len(names):
        raise ValueError("names an option twice")
    return dict.fromkeys(names, ())


def _values(said: object) -> Any:
    if said == []:
        raise ValueError("an option has an empty list of values: leave that out for all that it has")
    values = one_or_many(said) or ()
    return tuple(map(_word, values)) if isinstance(values, tuple) else values


def _word(value: object) -> object:
    """A value as runtimes write it: YAML reads `off` as a text, `false` as a truth value, 8 as a number."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value) if isinstance(value, int) else value


class DeploySection(Section):
    """Batch size, threads, and what runtimes can be told about a model. The study searches at the first batch
    and the first number of threads, which enter every measurement; the others are tried on finalists, as are
    the options: `search` stands for all that a runtime offers."""

    batch: Several[Count] = (1,)
    threads: Several[Threads] = (1,)
    options: Annotated[dict[Line, tuple[Line, ...]], BeforeValidator(_wanted)] = {}

    @property
    def setting(self) -> Setting:
        """How the study searches."""
        return Setting(batch=self.batch[0], threads=self.threads[0])

    @property
    def tries(self) -> bool:
        """Whether anything beside that is asked for."""
        return len(self.batch) > 1 or len(self.threads) > 1 or bool(self.options)
