"""What every meter of energy has to do; each adapter's tests subclass it with a recording of its own."""

import pytest
from paretune.backends.energy.discover import MeterWish, chosen, look, meters_of, opened
from paretune.backends.energy.meter import MeterError
from paretune.profiles.meters import SCOPES

GARBAGE = ("", "garbage", "-7", "1e9", "nan", "inf", "0x10", "9" * 30, "\0\xff", "1 2", "1_000")
"""In the place of any figure."""


class MeterContract:
    """A subclass says `kind`, `rail` and `scope`, and has the three methods."""

    kind: str
    rail: str
    scope: str

    def device(self, folder) -> MeterWish:
        """A device as it was recorded, and where its meter is looked for."""
        raise NotImplementedError

    def told(self, meter) -> tuple[float, float]:
        """What the meter reads, and what it has to, by the recording."""
        raise NotImplementedError

    def spoil(self, folder, text) -> None:
        """Put `text` in the place of the recording's figures."""
        raise NotImplementedError

    def meter(self, wish):
        return opened(wish, (self.rail,))

    def test_it_is_found_with_what_it_covers(self, tmp_path):
        wish = self.device(tmp_path)
        facts = next(one for one in look(wish).meters if one.rail == self.rail)
        assert (facts.kind, facts.scope) == (self.kind, self.scope)
        assert facts.scope in SCOPES
        assert 0 < facts.every_s <= facts.window_s / 50
        named = MeterWish(kind=wish.kind, rails=(self.rail,), root=wish.root, program=wish.program)
        assert chosen(look(named), named, gpu=False) == facts

    def test_it_tells_what_was_recorded(self, tmp_path):
        meter = self.meter(self.device(tmp_path))
        try:
            found, expected = self.told(meter)
            assert found == pytest.approx(expected, rel=1e-9)
        finally:
            meter.close()
            meter.close()

    def test_a_device_without_it_has_none(self, tmp_path):
        found = look(MeterWish(kind=self.kind, root=str(tmp_path), program=str(tmp_path / "none")))
        assert found.meters == ()
        with pytest.raises(MeterError):
            chosen(found, MeterWish(), gpu=True)

    @pytest.mark.parametrize("text", GARBAGE, ids=repr)
    def test_garbage_is_refused_with_a_reason(self, tmp_path, text):
        wish = self.device(tmp_path)
        meter = self.meter(wish)
        self.spoil(tmp_path, text)
        try:
            with pytest.raises(MeterError) as error:
                meter.read()
            assert error.value.reason.isprintable()
            assert error.value.reason
        finally:
            meter.close()
        meters, _ = meters_of(wish)
        assert self.rail not in [one.facts.rail for one in meters]
        for one in meters:
            one.close()
