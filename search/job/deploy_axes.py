"""What a study tries of how its finalists are deployed: threads, batches, and what runtimes can be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...backends.contract.options import RuntimeOption
from ...backends.registry import get_backend
from ...profiles.devices.schema import Profile
from ...profiles.errors import UserError, at_place
from ...profiles.precision import Precision
from ...profiles.text.problems import suggestion
from ...profiles.words import counted, joined
from ..record.options import BATCH, THREADS, Axis
from ..record.setting import Setting
from ..space.space import Space
from .deploy_section import SEARCH, DeploySection


@dataclass(frozen=True, kw_only=True)
class DeployAxes:
    """What can be set otherwise than the study searches. `most_threads` is what the device has (0: not
    known)."""

    deploy: DeploySection
    profile: Profile
    most_threads: int = 0

    def of(self, backend: str, precision: Precision, beside: Setting) -> tuple[Axis, ...]:
        """All that can be tried of a runtime's model at a precision, beside a setting."""
        first = self.deploy.setting
        plain = (
            Axis(name=THREADS, default=str(first.threads), values=tuple(map(str, self.threads))),
            Axis(name=BATCH, default=str(first.batch), values=tuple(map(str, self.batches)), compiled=True),
        )
        offered = get_backend(backend).options(self.profile, precision, beside.threads)
        return (*(axis for axis in plain if axis.values), *filter(None, map(self._axis, offered)))

    @property
    def threads(self) -> tuple[int, ...]:
        """Numbers of threads that are tried beside the first."""
        return tuple(n for n in self.deploy.threads[1:] if not self.most_threads or n <= self.most_threads)

    @property
    def batches(self) -> tuple[int, ...]:
        """Batches that are tried beside the first."""
        return self.deploy.batch[1:]

    @property
    def left_out(self) -> tuple[str, ...]:
        """What is not tried of what was asked for, and why."""
        many = [str(n) for n in self.deploy.threads[1:] if n not in self.threads]
        has = f"the device has {counted(self.most_threads, 'thread')} for a model"
        return (f"threads {joined(many)}: {has}",) if many else ()

    def most(self, space: Space) -> int:
        """How many values are tried alone of one model at the most; each takes about a measurement."""
        if not self.deploy.tries:
            return 0
        return max(
            sum(len(axis.values) for axis in self.of(one.name, precision, self.deploy.setting))
            for one in space.backends
            for precision in one.precisions
        )

    def _axis(self, option: RuntimeOption) -> Axis | None:
        wanted = self.deploy.options
        if SEARCH not in wanted and option.name not in wanted:
            return None
        named = wanted.get(option.name) or option.values
        values = tuple(value for value in option.others if _is_among(value, named))
        if not values:
            return None
        return Axis(
            name=option.name,
            default=option.default,
            values=values,
            compiled=option.when == "compile",
            exact=option.exact,
        )


_ALIKE = ({"on", "true", "yes", "1"}, {"off", "false", "no", "0"})
"""What a YAML file may mean by one value."""


def _is_among(value: str, named: tuple[str, ...]) -> bool:
    alike = next((words for words in _ALIKE if value in words), {value})
    return bool(alike & set(named))


def check_options(deploy: DeploySection, profile: Profile, space: Space) -> None:
    """Whether some runtime of the study offers each option that is asked for, and the values.

    Raises:
        UserError: none does.
    """
    if not deploy.options:
        return
    offered = _offered(deploy, profile, space)
    known = {option.name for options in offered.values() for option in options.values()}
    for name, values in deploy.options.items():
        if name == SEARCH:
            continue
        with at_place(f"deploy.options.{name}"):
            if name not in known:
                near = suggestion(name, known)
                raise UserError(
                    f"no runtime of this study has an option {name!r} on this device"
                    + (f"; did you mean {near!r}?" if near else ""),
                    accepted="; ".join(_lines(offered)) or "none: no runtime of this study offers any",
                    remedy=f"`options: {SEARCH}` tries all that there are"
                    + ("" if max(deploy.threads) > 1 else "; some there are with several threads alone"),
                )
            _check_values(name, values, offered)


def _check_values(
    name: str, values: tuple[str, ...], offered: Mapping[str, Mapping[str, RuntimeOption]]
) -> None:
    there = {backend: options[name].values for backend, options in offered.items() if name in options}
    for value in values:
        if not any(_is_among(one, (value,)) for known in there.values() for one in known):
            raise UserError(
                f"the option {name} has no value {value!r}",
                accepted="; ".join(f"{backend}: {', '.join(known)}" for backend, known in there.items()),
            )


def _offered(deploy: DeploySection, profile: Profile, space: Space) -> dict[str, dict[str, RuntimeOption]]:
    """By runtime and name: what it offers at any precision and number of threads of the study."""
    found: dict[str, dict[str, RuntimeOption]] = {}
    for choices in space.backends:
        for precision in choices.precisions:
            for threads in deploy.threads:
                for option in get_backend(choices.name).options(profile, precision, threads):
                    found.setdefault(choices.name, {}).setdefault(option.name, option)
    return found


def _lines(offered: Mapping[str, Mapping[str, RuntimeOption]]) -> Iterator[str]:
    for backend, options in offered.items():
        yield f"{backend}: " + ", ".join(f"{o.name} ({', '.join(o.values)})" for o in options.values())
