"""What a change of a recording may be, and how audible."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import ConfigError

ACTIONS = ("remove", "scale", "shift")


@dataclass(frozen=True)
class Bounds:
    """What a change may do.

    Attributes
    ----------
    count : int or None
        Variables it may have; ``None``: any number, which leaves only ``gain`` as a bound.
    gain : float
        The most a variable is scaled up or down, in dB.
    snr : float or None
        The clip's energy over the noise's, in dB, is at least this.
    margin : float or None
        The noise lies at least so many dB below the masking threshold in every cell (0: just inaudible).
    """

    count: int | None = None
    gain: float = 40.0
    snr: float | None = None
    margin: float | None = None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise ConfigError(f"count {self.count}: out of range; change at least 1 variable")
        if not 0 < self.gain <= 120:
            raise ConfigError(f"gain {self.gain}: out of range; use more than 0 and at most 120 dB")
        if self.count is None and (self.snr is not None or self.margin is not None):
            raise ConfigError("a bound on SNR or masking needs a count: say how many variables may change")

    def shortfall(self, snr: float, margin: float) -> float:
        """By how many dB it must become softer to be within the bounds; 0 or less if it is."""
        short = [wanted - got for wanted, got in ((self.snr, snr), (self.margin, margin)) if wanted is not None]
        return max(short, default=0.0)
