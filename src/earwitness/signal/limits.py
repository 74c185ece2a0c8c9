"""How much of a recording is read at most: a file's header is a claim, and memory is spent on it."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import AudioError
from ..settings import Settings, setting


@dataclass(frozen=True)
class Limits(Settings):
    """What a recording may claim to be. What is beyond is refused before memory or time is spent on it.

    Attributes
    ----------
    lowest_rate, highest_rate : int
        Of the file, in Hz: infrasound is recorded at 100 Hz, bats at 500 kHz.
    most_channels : int
        Of the file.
    most_hours : float
        Of what is read (after ``seconds`` has cropped it), counted at 48 kHz: half as many at 96 kHz, of the file or
        of what it is resampled to. 2 hours are 346 million samples, 1.4 GB.
    most_ratio : int
        Of the file's rate to the wanted one, or the other way round: the resampler's filter grows with it.
    """

    lowest_rate: int = setting(100, "lowest sample rate of a recording, in Hz", ge=1)
    highest_rate: int = setting(1_000_000, "highest sample rate of a recording, in Hz", ge=1)
    most_channels: int = setting(64, "channels of a recording", ge=1)
    most_hours: float = setting(2.0, "hours read of a recording, counted at 48 kHz", gt=0, le=24)
    most_ratio: int = setting(256, "between the rates of a recording and of the study", ge=1)

    @property
    def samples(self) -> int:
        """The most samples of one channel that are held."""
        return round(self.most_hours * 3600 * 48_000)

    def check_ratio(self, rate: int, wanted: int) -> None:
        """Refuse to resample between rates (Hz) that lie too far apart.

        Raises
        ------
        AudioError
        """
        if max(rate, wanted) > self.most_ratio * min(rate, wanted):
            raise AudioError(
                f"resampling from {rate} to {wanted} Hz; the rates may differ {self.most_ratio}-fold at most: correct "
                "the sample rate, or raise the limit 'most_ratio'"
            )

    def check(self, frames: int, channels: int, rate: int, needed: int, made: int) -> None:
        """Refuse a recording.

        Parameters
        ----------
        frames, channels, rate : int
            What its header says.
        needed : int
            Frames that are to be read.
        made : int
            Samples that are made of them.

        Raises
        ------
        AudioError
            Its rate, channels or duration is beyond the limits.
        """
        if not self.lowest_rate <= rate <= self.highest_rate:
            mend = "lower the limit 'lowest_rate'" if rate < self.lowest_rate else "raise the limit 'highest_rate'"
            raise AudioError(
                f"sample rate {rate} Hz; use {self.lowest_rate} to {self.highest_rate} Hz: correct the file's header, "
                f"or {mend}"
            )
        if channels > self.most_channels:
            raise AudioError(
                f"{channels} channels; use {self.most_channels} at most: mix them down, or raise the limit "
                "'most_channels'"
            )
        if max(needed, made) > self.samples:
            raise AudioError(
                f"{frames} frames at {rate} Hz ({frames / rate / 3600:.1f} h), {max(needed, made)} samples of them to "
                f"hold; {self.samples} at most ({self.most_hours:g} h at 48 kHz): give 'seconds' to read its "
                "beginning alone, cut it, or raise the limit 'most_hours'"
            )


USUAL = Limits()
#: for a recording that was accepted before: whatever limits held then
WIDEST = Limits(lowest_rate=1, highest_rate=10**9, most_channels=1024, most_hours=24, most_ratio=10**6)
