"""What a runtime can be told about one artifact that needs no training: when it compiles it, or opens it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from ...profiles.errors import UnsupportedError

When = Literal["open", "compile"]
WHEN: tuple[str, ...] = get_args(When)
Options = Mapping[str, str]
"""Values by the option's name; those that are left out are as usual."""
USUAL: Options = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class RuntimeOption:
    """One thing that can be told, and all values that it can have here; `default` is what holds where nothing
    is told. `does` says in a sentence what it decides.

    `when` it is told: with "compile" another artifact is made, with "open" the same one is opened otherwise.
    `exact`: no value changes what the model computes by more than the last bits, so that a score holds for
    all of them.
    """

    name: str
    values: tuple[str, ...]
    default: str
    does: str
    when: When = "open"
    exact: bool = True

    @property
    def others(self) -> tuple[str, ...]:
        """The values beside the default."""
        return tuple(value for value in self.values if value != self.default)


def chosen(options: Options, *known: RuntimeOption) -> dict[str, str]:
    """The value of each known option: as it was told, else the default.

    Raises:
        UnsupportedError: another option was told, or a value that one does not have.
    """
    by_name = {option.name: option for option in known}
    for name, value in options.items():
        if name not in by_name:
            raise UnsupportedError(f"unknown option {name!r}; known: {', '.join(by_name) or 'none'}")
        if value not in by_name[name].values:
            accepted = ", ".join(by_name[name].values)
            raise UnsupportedError(f"the option {name} cannot be {value!r}; it can be {accepted}")
    return {name: options.get(name, option.default) for name, option in by_name.items()}


def check_taken(options: Options, taken: Options) -> None:
    """Refuse a session whose runtime tells that it has not taken what it was told: what it then shows is not
    what was asked for.

    Raises:
        UnsupportedError: it has another value.
    """
    for name, value in options.items():
        if taken.get(name, value) != value:
            raise UnsupportedError(
                f"the runtime was told {name} = {value}, and has {taken[name]}: it does not take that here"
            )
