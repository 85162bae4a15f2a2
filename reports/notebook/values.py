"""Values of a study that show themselves in a notebook; they are what they were otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from ...search.ranking.ranking import Ranked
from ...search.ranking.reading import Reading
from ...search.ranking.verdict import Verdict
from ...search.record.checks import Checked
from ..content.checks import conclusion

if TYPE_CHECKING:
    import pandas as pd


class MarkdownText(str):
    """Text that a notebook shows as Markdown."""

    __slots__ = ()

    def _repr_markdown_(self) -> str:
        return str(self)


@dataclass(frozen=True, kw_only=True, repr=False)
class Answer(Verdict):
    """A verdict that shows itself."""

    @classmethod
    def made_of(cls, verdict: Verdict) -> Answer:
        """The same verdict."""
        return cls(**{item.name: getattr(verdict, item.name) for item in fields(Verdict)})

    def __str__(self) -> str:
        return self.headline

    def __repr__(self) -> str:
        return f"<Answer {self.status}: {self.headline}>"

    def _repr_html_(self) -> str:
        from .shown import verdict_html

        return verdict_html(self)


@dataclass(frozen=True, kw_only=True, repr=False)
class ChecksMade(Checked):
    """All checks of one thing; they show themselves as a table."""

    @classmethod
    def made_of(cls, checked: Checked) -> ChecksMade:
        """The same checks."""
        return cls(**{item.name: getattr(checked, item.name) for item in fields(Checked)})

    def __str__(self) -> str:
        return conclusion(self)

    def __repr__(self) -> str:
        return f"<{conclusion(self)}>"

    def _repr_html_(self) -> str:
        from .checks import checks_made_html

        return checks_made_html(self)


@dataclass(frozen=True, repr=False)
class Front:
    """The candidates of a run that no other beats; it shows itself as the report's plot."""

    reading: Reading

    @property
    def entries(self) -> tuple[Ranked, ...]:
        """Those on the front, in the order of the ranking."""
        return tuple(entry for entry in self.reading.ranking.entries if entry.on_front)

    @property
    def table(self) -> pd.DataFrame:
        """Their rows of the run's table, in that order."""
        from ..pages.table import trial_table

        numbers = [entry.number for entry in self.entries]
        return trial_table(self.reading).set_index("trial", drop=False).loc[numbers].reset_index(drop=True)

    @property
    def svg(self) -> str:
        """The plot as SVG; empty where nothing was measured and scored."""
        from .shown import front_svg

        return front_svg(self.reading)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Ranked]:
        return iter(self.entries)

    def __repr__(self) -> str:
        return f"<Front of {self.reading.record.name}: {', '.join(f'#{e.number}' for e in self.entries)}>"

    def _repr_html_(self) -> str:
        from .shown import front_html

        return front_html(self.reading)
