"""How much of the speech is left in a signal: transcripts, intelligibility, distortion, each against the original.

Source: Kelly & Chockler, arXiv 2604.02937 (T) §5.4. Definitions used here:

- *normalisation* of a transcript: Unicode NFKC, case folded, apostrophes dropped, all other characters but letters,
  marks and digits made spaces, spaces collapsed. Numbers are not spelled out.
- *Levenshtein ratio* of texts a and b: 1 − d(a, b) / max(|a|, |b|), d the least number of insertions, deletions and
  substitutions, over characters or over words (:func:`rapidfuzz.distance.Levenshtein.normalized_similarity`).
- *indel ratio*: 1 − d′(a, b) / (|a| + |b|), d′ without substitutions. This is what ``Levenshtein.ratio`` of the
  package of that name gives, so papers that say "Levenshtein ratio" may mean this one.
- *STOI* and *ESTOI*: short-time objective intelligibility and its extended form, by pystoi. They need 30 frames
  (384 ms) of sound after silent frames are removed; a shorter signal has none, not a small one.
- *SI-SDR* (Le Roux et al., arXiv 1811.02508): 10 log₁₀ ‖αs‖² / ‖αs − ŝ‖² in dB with α = ⟨ŝ, s⟩/‖s‖², means removed.

A measure that cannot be taken is missing, with its reason.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from ..errors import ConfigError, EarwitnessError, ModelError, nearest
from ..signal.audio import SILENCE

Signal = NDArray[np.float32]
#: float32 [N] at a rate in Hz → text
Recogniser = Callable[[Signal, int], str]

#: the rate that speech recognisers take, in Hz
SPEECH_RATE = 16_000
EXTRA = "pip install 'earwitness[fidelity]'"


@dataclass(frozen=True)
class Ratios:
    """Likeness of two normalised transcripts, 0 to 1."""

    character: float
    word: float
    indel: float


@dataclass(frozen=True)
class Measure:
    """A number, or why there is none."""

    value: float | None
    why: str = ""


def normalise(text: str) -> str:
    """A transcript without what is not speech: see the module's definition.

    Examples
    --------
    >>> normalise("  Don't  STOP—it's 5 o'clock! ")
    'dont stop its 5 oclock'
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = [c if unicodedata.category(c)[0] in "LMN" else "" if c in "'’ʼ`" else " " for c in folded]
    return " ".join("".join(kept).split())


def compare_texts(original: str, other: str) -> Ratios | None:
    """Levenshtein and indel ratios of two transcripts after :func:`normalise`.

    Returns
    -------
    Ratios or None
        ``None`` where the original has no words: there is nothing to keep.

    Raises
    ------
    ConfigError
        rapidfuzz is not installed.

    Examples
    --------
    >>> compare_texts("The cat sat.", "the bat sat").word  # one word of three
    0.6666666666666667
    """
    try:
        from rapidfuzz.distance import Indel, Levenshtein
    except ImportError:
        raise ConfigError(f"texts are compared by rapidfuzz, which is not installed; {EXTRA}") from None
    one, two = normalise(original), normalise(other)
    if not one:
        return None
    return Ratios(
        float(Levenshtein.normalized_similarity(one, two)),
        float(Levenshtein.normalized_similarity(one.split(), two.split())),
        float(Indel.normalized_similarity(one, two)),
    )


def measure_intelligibility(original: Signal, other: Signal, sample_rate: int, *, extended: bool = False) -> Measure:
    """STOI of a signal against the original, nominally 0 to 1.

    Parameters
    ----------
    original, other : float32 [N]
    sample_rate : int
        Hz.
    extended : bool
        ESTOI instead.

    Raises
    ------
    ConfigError
        pystoi is not installed.
    """
    try:
        from pystoi import stoi
    except ImportError:
        raise ConfigError(f"intelligibility is measured by pystoi, which is not installed; {EXTRA}") from None
    if why := _silence(original, other):
        return Measure(None, why)
    with warnings.catch_warnings():
        # pystoi answers 1e-5, with a warning, where it has too few frames
        warnings.filterwarnings("error", message="Not enough STFT frames", category=RuntimeWarning)
        try:
            value = float(stoi(original.astype(np.float64), other.astype(np.float64), sample_rate, extended=extended))
        except RuntimeWarning:
            return Measure(None, "too short: fewer than 30 frames (384 ms) of sound")
        except ValueError as error:  # of fewer samples than one frame
            return Measure(None, f"too short: {error}")
    return Measure(value) if np.isfinite(value) else Measure(None, "not defined for this signal")


def measure_distortion(original: Signal, other: Signal) -> Measure:
    """SI-SDR of a signal against the original, in dB.

    Examples
    --------
    >>> s = np.array([1, -1, 1, -1], dtype=np.float32)
    >>> round(measure_distortion(s, s + np.array([1, 1, -1, -1], dtype=np.float32) / 10).value, 3)
    20.0
    """
    if why := _silence(original, other):
        return Measure(None, why)
    one, two = (signal.astype(np.float64) - signal.mean(dtype=np.float64) for signal in (original, other))
    power = float(one @ one)
    if power == 0:
        return Measure(None, "the original is constant")
    target = (two @ one) / power * one
    noise, kept = float(((target - two) ** 2).sum()), float((target**2).sum())
    if kept <= 1e-24 * float(two @ two):
        return Measure(None, "nothing of the original is in it (minus infinity)")
    # below the rounding of float32 samples there is no distortion to speak of
    if noise <= 1e-14 * kept:
        return Measure(None, "the original itself, but for its gain (infinite)")
    return Measure(float(10 * np.log10(kept / noise)))


def transcribe(recogniser: Recogniser, signal: Signal, sample_rate: int) -> str:
    """What a recogniser hears; nothing in silence (below -120 dBFS), of which it is not asked.

    Raises
    ------
    ModelError
        It answered with something other than text.
    """
    if np.abs(signal).max(initial=0) < SILENCE:
        return ""
    text = recogniser(signal, sample_rate)
    if not isinstance(text, str):
        raise ModelError(f"the recogniser answered with {type(text).__name__}; it must give text")
    return text.strip()


def open_recogniser(spec: str, device: str = "auto", language: str | None = "en") -> Recogniser:
    """The recogniser that a spec names.

    Parameters
    ----------
    spec : str
        ``faster-whisper:DIR-OR-NAME``, ``transformers:DIR-OR-HUB-ID``, or ``python:MODULE:ATTR`` /
        ``python:FILE.py:ATTR`` (a callable of waveform float32 [N] and rate in Hz that gives text).
    device : str
        auto, cpu, cuda.
    language : str, optional
        Of the speech; ``None`` lets the recogniser guess.

    Raises
    ------
    ConfigError
        The spec is of no known form, or its library is not installed.
    ModelError
        The recogniser cannot be loaded.
    """
    scheme, _, target = spec.partition(":")
    if scheme not in RECOGNISERS or not target:
        forms = ", ".join(f"{name}:…" for name in RECOGNISERS)
        raise ConfigError(f"recogniser {spec!r}: {nearest(scheme, RECOGNISERS)}use one of {forms}")
    try:
        return RECOGNISERS[scheme](target, device, language)
    except ImportError as error:
        raise ConfigError(f"recogniser {spec!r}: {error.name} is not installed; {EXTRA}") from None
    except EarwitnessError:
        raise
    except Exception as error:
        raise ModelError(f"recogniser {spec!r}: cannot be loaded ({error}); check the folder or id") from error


def _faster_whisper(target: str, device: str, language: str | None) -> Recogniser:
    from faster_whisper import WhisperModel

    model = WhisperModel(target, device=device, compute_type="float32")

    def recognise(signal: Signal, sample_rate: int) -> str:
        # greedy and without fallback temperatures: the same signal always gets the same text
        segments, _ = model.transcribe(
            at_speech_rate(signal, sample_rate), language=language, beam_size=5, temperature=0.0,
            condition_on_previous_text=False,
        )  # fmt: skip
        return " ".join(segment.text.strip() for segment in segments)

    return recognise


def _transformers(target: str, device: str, language: str | None) -> Recogniser:
    from transformers import pipeline

    from ..models import choose_device

    pipe: Any = pipeline("automatic-speech-recognition", model=target, device=choose_device(device))
    # English-only and non-Whisper models refuse a language
    multilingual = bool(getattr(getattr(pipe.model, "generation_config", None), "is_multilingual", False))
    options = {"generate_kwargs": {"language": language}} if multilingual and language else {}

    def recognise(signal: Signal, sample_rate: int) -> str:
        speech = {"raw": at_speech_rate(signal, sample_rate), "sampling_rate": SPEECH_RATE}
        return str(pipe(speech, **options)["text"])

    return recognise


def _python(target: str, device: str, language: str | None) -> Recogniser:
    from ..models.callables import find_attribute

    found = getattr(*find_attribute(target))
    if not callable(found):
        raise ConfigError(f"recogniser python:{target}: not callable; give a function of waveform and rate")
    recogniser: Recogniser = found
    return recogniser


#: scheme → loader of (target, device, language); libraries are imported only when called
RECOGNISERS: dict[str, Callable[[str, str, str | None], Recogniser]] = {
    "faster-whisper": _faster_whisper,
    "transformers": _transformers,
    "python": _python,
}


def at_speech_rate(signal: Signal, sample_rate: int) -> Signal:
    """A signal at 16 kHz, float32 [N′]."""
    if sample_rate == SPEECH_RATE:
        return signal
    return np.asarray(soxr.resample(signal, sample_rate, SPEECH_RATE, quality="VHQ"), dtype=np.float32)


def _silence(original: Signal, other: Signal) -> str:
    for name, signal in (("original", original), ("signal", other)):
        if np.abs(signal).max(initial=0) < SILENCE:
            return f"the {name} is silence"
    return ""
