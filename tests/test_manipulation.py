"""Manipulation: the smallest flip of planted models is found exactly, within its bounds, and heard in the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from earwitness import Classifier, Clip, ConfigError, open_model
from earwitness.analyses.manipulation.bounds import Bounds
from earwitness.analyses.manipulation.changes import make_menu, masked_limits
from earwitness.analyses.manipulation.flips import (
    Flip,
    Subject,
    Unflipped,
    find_flip,
    lead_gradient,
    loudness,
    make_subject,
)
from earwitness.analyses.manipulation.masking import masking_threshold, spread, threshold_in_quiet
from earwitness.analyses.manipulation.written import STEPS, quantise
from earwitness.models import Model
from earwitness.search.driver import Driver
from earwitness.signal import audio
from earwitness.signal.domains import Domain
from earwitness.signal.spectrum import Spectrum
from planted import HIGH, LOW, Oracle, PlantedModel, both, either, has, make_clip

SIZE = 257
DOMAINS = ("rfft", "mel:16", "stft:64:16")


class Power(Model):
    """Says ``yes`` while bins 58 to 62 hold more than a share of the power they have in a clip; differentiable."""

    spec = fingerprint = "power"
    labels = Oracle.labels
    sample_rate = 16_000
    differentiable = True

    def __init__(self, clip: Clip, share: float) -> None:
        self.level = share * float(self.power(torch.tensor(clip.samples)[None])[0])

    def power(self, waveforms: Tensor) -> Tensor:
        bins: Tensor = torch.fft.rfft(waveforms.double())[:, slice(*LOW)]
        return bins.abs().square().sum(dim=1)

    def logits(self, waveforms: Tensor) -> Tensor:
        lead = torch.log(self.power(waveforms) / self.level + 1e-12)
        return torch.stack([lead, torch.zeros_like(lead), torch.full_like(lead, -5.0)], dim=1).float()


class Phase(Power):
    """Says ``yes`` while the phases of bins 58 to 62 agree with the clip's: the mean of their cosines is above a
    threshold."""

    def __init__(self, clip: Clip, least: float) -> None:
        self.own = torch.fft.rfft(torch.tensor(clip.samples).double())[slice(*LOW)]
        self.least = least

    def logits(self, waveforms: Tensor) -> Tensor:
        now = torch.fft.rfft(waveforms.double())[:, slice(*LOW)]
        cosines = (now * self.own.conj()).real / (now.abs() * self.own.abs())
        lead = cosines.mean(dim=1) - self.least
        return torch.stack([lead, torch.zeros_like(lead), torch.full_like(lead, -5.0)], dim=1).float()


def subject_of(model: Model, clip: Clip | None = None, domain: str = "rfft", **options: object) -> Subject:
    spectrum = Spectrum(clip or make_clip(SIZE), Domain.parse(domain))
    return make_subject(spectrum, Driver(Classifier(model)), **options)  # type: ignore[arg-type]


def flip_of(subject: Subject, *actions: str, **options: object) -> Flip:
    flip = find_flip(subject, actions, **options)  # type: ignore[arg-type]
    assert isinstance(flip, Flip), flip
    return flip


def powers(clip: Clip) -> np.ndarray:
    """Shares of the power of bins 58 to 62, by size."""
    power = np.abs(np.fft.rfft(clip.samples.astype(np.float64))[slice(*LOW)]) ** 2
    return np.asarray(np.sort(power / power.sum())[::-1])


@pytest.mark.parametrize("share", [0.9, 0.6, 0.4, 0.2, 0.05])
@pytest.mark.parametrize("gradients", [True, False])
def test_the_fewest_bins_to_remove_are_found(share: float, gradients: bool) -> None:
    clip = make_clip(SIZE)
    flip = flip_of(subject_of(Power(clip, share), clip, gradients=gradients), "remove")
    fewest = int(np.argmax(np.cumsum(powers(clip)) > 1 - share)) + 1
    assert flip.change.size == fewest
    assert set(flip.change.variables) <= set(range(*LOW))
    assert flip.certificate.kind == "one_minimal"
    assert flip.change.gains == (0,) * fewest
    assert flip.wav.label == flip.flac.label == 1


@pytest.mark.parametrize("gradients", [True, False])
def test_the_fewest_bins_to_scale_are_found(gradients: bool) -> None:
    clip, gain = make_clip(SIZE), 6.0
    flip = flip_of(subject_of(Power(clip, 0.5), clip, gradients=gradients), "scale", bounds=Bounds(gain=gain))
    # each bin keeps a quarter of its power
    fewest = int(np.argmax(np.cumsum(powers(clip)) * (1 - 10 ** (-gain / 10)) > 0.5)) + 1
    assert flip.change.size == fewest == 3
    assert set(flip.change.variables) <= set(range(*LOW))
    np.testing.assert_allclose(flip.change.decibels, -gain)


@pytest.mark.parametrize(("least", "fewest"), [(0.7, 1), (0.5, 2), (0.1, 3)])
def test_the_fewest_bins_to_shift_in_phase_are_found(least: float, fewest: int) -> None:
    clip = make_clip(SIZE)
    flip = flip_of(subject_of(Phase(clip, least), clip), "shift")
    assert flip.change.size == fewest
    assert set(flip.change.variables) <= set(range(*LOW))
    np.testing.assert_allclose(np.abs(flip.change.degrees), 180)
    np.testing.assert_allclose(flip.change.decibels, 0, atol=1e-9)


def test_plateaus_are_crossed() -> None:
    # one bin of each band must go; either alone changes nothing at all
    flip = flip_of(subject_of(PlantedModel(either(LOW, HIGH))), "remove")
    low, high = flip.change.variables
    assert low in range(*LOW)
    assert high in range(*HIGH)
    assert flip.certificate.kind == "one_minimal"
    # a conjunction falls with any one
    flip = flip_of(subject_of(PlantedModel(both(LOW, HIGH))), "remove")
    assert flip.change.size == 1


def test_sets_that_were_found_are_tried_first() -> None:
    subject = subject_of(PlantedModel(has(LOW)))
    known = np.zeros(SIZE, dtype=bool)
    known[slice(*LOW)] = True
    told = flip_of(subject_of(PlantedModel(has(LOW)), hints=[known]), "remove")
    untold = flip_of(subject, "remove")
    assert told.change.size == untold.change.size == 1
    assert told.history[0][1] <= untold.history[0][1]
    assert told.queries <= 32 + 2


def test_history_says_what_each_flip_cost() -> None:
    clip = make_clip(SIZE)
    flip = flip_of(subject_of(Power(clip, 0.2), clip), "remove")
    sizes, asked = zip(*flip.history, strict=True)
    assert list(sizes) == sorted(sizes, reverse=True)
    assert list(asked) == sorted(asked)
    assert sizes[-1] == flip.change.size
    assert asked[-1] <= flip.queries


def test_a_label_may_be_given() -> None:
    class Tones(Power):
        """The label is the strongest of three bands."""

        differentiable = False

        def __init__(self) -> None: ...

        def logits(self, waveforms: Tensor) -> Tensor:
            power = torch.fft.rfft(waveforms.double()).abs() ** 2
            return torch.log(torch.stack([power[:, b : b + 5].sum(dim=1) for b in (58, 100, 200)], dim=1)).float()

    subject = subject_of(Tones())
    own = int(subject.original.argmax())
    for goal in {0, 1, 2} - {own}:
        flip = flip_of(subject, "remove", "scale", goal=goal)
        assert flip.wav.label == goal
        assert flip.change.size == 1
    with pytest.raises(ConfigError, match="choose another"):
        find_flip(subject, ["remove"], goal=own)
    with pytest.raises(ConfigError, match="did you mean 'remove'"):
        find_flip(subject, ["removed"])


def test_no_flip_is_no_flip() -> None:
    class Stubborn(PlantedModel):
        def logits(self, waveforms: Tensor) -> Tensor:
            return torch.tensor([[1.0, 0.0, 0.0]]).repeat(len(waveforms), 1)

    for bounds in (Bounds(), Bounds(1), Bounds(5, snr=30.0)):
        outcome = find_flip(subject_of(Stubborn(has(LOW))), ["remove", "scale", "shift"], bounds, budget=300)
        assert isinstance(outcome, Unflipped)
        assert outcome.queries <= 300
        assert outcome.closest == pytest.approx(-1, abs=1e-6)


@pytest.mark.parametrize("count", [1, 5, 25])
@pytest.mark.parametrize("domain", DOMAINS)
def test_any_choice_within_the_count_keeps_the_bounds(count: int, domain: str) -> None:
    rng = np.random.default_rng(count)
    noise = rng.standard_normal(4000) * np.linspace(0.02, 0.3, 4000)
    clip = Clip((noise + 0.3 * np.sin(np.arange(4000) / 5)).astype(np.float32), 16_000)
    spectrum, threshold = Spectrum(clip, Domain.parse(domain)), masking_threshold(clip)
    by_snr = make_menu(spectrum, ("scale", "shift"), Bounds(count, snr=25.0))
    masks = np.zeros((20, by_snr.size), dtype=bool)
    for mask in masks:
        mask[rng.choice(np.flatnonzero(by_snr.noise), min(count, spectrum.size), replace=False)] = True
    assert min(loudness(clip, threshold, signal)[0] for signal in by_snr.invert(masks).numpy()) >= 25


@pytest.mark.parametrize("domain", DOMAINS)
def test_limits_on_masking_are_tight_for_single_variables(domain: str) -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(4000) * np.linspace(0.02, 0.3, 4000)
    clip = Clip((noise + 0.3 * np.sin(np.arange(4000) / 5)).astype(np.float32), 16_000)
    spectrum, threshold, bounds = Spectrum(clip, Domain.parse(domain)), masking_threshold(clip), Bounds(1, margin=3.0)
    limits = masked_limits(spectrum, threshold, bounds)
    menu = make_menu(spectrum, ("scale",), bounds, limits)
    margins = []
    for choice in rng.choice(np.flatnonzero(menu.noise[: spectrum.size]), 30):
        mask = np.zeros((1, menu.size), dtype=bool)
        mask[0, choice] = True
        margins.append(loudness(clip, threshold, menu.invert(mask)[0].numpy())[1])
    # of STFT cells the limit is an estimate
    assert min(margins) >= 3.0 - (7.0 if domain.startswith("stft") else 0.01)
    # and where the gain's own limit does not bind, it is used up
    assert np.median(margins) < 3.0 + (3.0 if domain.startswith("stft") else 0.5)


def test_flips_within_bounds_are_within_them() -> None:
    clip = make_clip(SIZE)
    subject = subject_of(Power(clip, 0.97), clip)
    for count in (1, 5):
        flip = flip_of(subject, "remove", "scale", "shift", bounds=Bounds(count, snr=25.0))
        assert flip.snr >= 25
        assert flip.change.size <= count
    assert isinstance(find_flip(subject, ["scale"], Bounds(1, snr=60.0), budget=300), Unflipped)
    with pytest.raises(ConfigError, match="how many"):
        Bounds(snr=30.0)


def test_an_inaudible_flip_is_below_the_threshold() -> None:
    # a loud tone hides a change of the soft bin next to it
    time = np.arange(4096) / 16_000
    clip = Clip((0.5 * np.sin(2 * np.pi * 1000 * time) + 0.002 * np.sin(2 * np.pi * 1062.5 * time)).astype(np.float32),
                16_000)  # fmt: skip
    bin_ = round(1062.5 * 4096 / 16_000)

    class Soft(Power):
        def power(self, waveforms: Tensor) -> Tensor:
            value: Tensor = torch.fft.rfft(waveforms.double())[:, bin_]
            return value.abs().square()

    subject = subject_of(Soft(clip, 0.8), clip)
    flip = flip_of(subject, "remove", bounds=Bounds(1, margin=0.0))
    assert flip.change.variables == (bin_,)
    assert flip.inaudible
    difference = flip.change.apply(subject.spectrum) - clip.samples
    assert subject.threshold.margin(difference) == pytest.approx(flip.margin)
    # the loud tone itself is heard to change
    loud = flip.change.__class__((256,), (0j,), ("remove",)).apply(subject.spectrum)
    assert loudness(clip, subject.threshold, loud)[1] < -5


@pytest.mark.parametrize("gradients", [True, False])
def test_several_inaudible_changes_are_inaudible_together(gradients: bool) -> None:
    # two soft tones beside a loud one; the model hears their sum, so that both must go
    time, soft = np.arange(4096) / 16_000, (240, 272)
    tones = [0.5 * np.sin(2 * np.pi * 1000 * time)]
    tones += [0.002 * np.sin(2 * np.pi * number * 16_000 / 4096 * time) for number in soft]
    clip = Clip(np.sum(tones, axis=0).astype(np.float32), 16_000)

    class Soft(Power):
        def power(self, waveforms: Tensor) -> Tensor:
            bins: Tensor = torch.fft.rfft(waveforms.double())[:, list(soft)]
            return bins.abs().square().sum(dim=1)

    subject = subject_of(Soft(clip, 0.3), clip, gradients=gradients)
    flip = flip_of(subject, "remove", bounds=Bounds(5, margin=0.0))
    assert flip.change.variables == soft
    assert flip.inaudible
    # where the limits on each alone are used up, all are made softer
    flip = flip_of(subject, "scale", bounds=Bounds(5, gain=20.0, margin=0.0))
    assert flip.inaudible


def test_files_hold_the_flip(tmp_path: Path) -> None:
    clip = make_clip(SIZE)
    model = Power(clip, 0.5)
    flip = flip_of(subject_of(model, clip), "remove", folder=tmp_path, name="x")
    for path, heard, subtype in (("x.wav", flip.wav, "FLOAT"), ("x.flac", flip.flac, "PCM_16")):
        assert soundfile.info(tmp_path / path).subtype == subtype
        answer = Classifier(model).log_probabilities(torch.tensor(audio.read(tmp_path / path).samples)[None])
        np.testing.assert_array_equal(answer[0].numpy(), heard.log_probabilities)
    np.testing.assert_array_equal(audio.read(tmp_path / "x.wav").samples, flip.change.apply(Spectrum(clip)))


def test_a_flip_may_not_survive_sixteen_bits() -> None:
    # the change is a thousandth of a step of 16 bits
    clip = Clip((make_clip(SIZE).samples * 1e-6).astype(np.float32), 16_000)
    flip = flip_of(subject_of(Power(clip, 0.5), clip), "remove")
    assert flip.wav.flipped
    assert not flip.flac.flipped


@given(st.integers(0, 1000))
def test_dither_is_fair_and_rounding_small(seed: int) -> None:
    samples = np.full(4000, 0.3 / STEPS, dtype=np.float32)
    steps = quantise(samples, np.random.default_rng(seed))
    assert abs(steps.mean() - 0.3) < 0.05
    assert set(steps.tolist()) <= {-1, 0, 1, 2}
    assert quantise(np.array([2.0, -2.0], np.float32), np.random.default_rng(seed)).tolist() == [STEPS - 1, -STEPS]


@pytest.mark.parametrize("domain", DOMAINS)
def test_gains_change_just_their_variables(domain: str) -> None:
    spectrum = Spectrum(make_clip(SIZE), Domain.parse(domain))
    rng = np.random.default_rng(0)
    keep = rng.random((3, spectrum.size)) < 0.5
    kept, zeroed = spectrum.invert(keep), spectrum.change(keep.astype(np.complex128))
    np.testing.assert_array_equal(kept.numpy(), zeroed.numpy())
    np.testing.assert_allclose(
        spectrum.change(np.full((1, spectrum.size), -1 + 0j))[0].numpy(), -spectrum.clip.samples, atol=1e-7
    )


@pytest.mark.parametrize("domain", DOMAINS)
def test_sensitivity_is_the_derivative(domain: str) -> None:
    clip = make_clip(SIZE)
    spectrum = Spectrum(clip, Domain.parse(domain))
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(len(clip))
    response = spectrum.sensitivity(weights)
    gains = 1 + rng.standard_normal((4, spectrum.size)) + 1j * rng.standard_normal((4, spectrum.size))
    change = (spectrum.change(gains).double().numpy() - clip.samples) @ weights
    # a linear quantity: the first order is all there is
    np.testing.assert_allclose(((gains - 1) * response).real.sum(axis=1), change, rtol=1e-4)


def test_the_gradient_is_of_the_lead() -> None:
    clip = make_clip(SIZE)
    classifier = Classifier(Power(clip, 0.5))
    gradient = lead_gradient(classifier, clip.samples, 0, None)
    power = (np.abs(np.fft.rfft(clip.samples.astype(np.float64))[slice(*LOW)]) ** 2).sum()
    response = Spectrum(clip).sensitivity(gradient)
    # d log(power) for each bin's gain: twice its share of the power
    shares = np.abs(np.fft.rfft(clip.samples.astype(np.float64))) ** 2 / power
    np.testing.assert_allclose(response[slice(*LOW)].real, 2 * shares[slice(*LOW)], rtol=1e-4)
    np.testing.assert_allclose(np.delete(response, np.arange(*LOW)), 0, atol=1e-6)


def test_a_tone_masks_as_printed() -> None:
    time = np.arange(16_000) / 16_000
    tone = Clip((0.5 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32), 16_000)
    threshold = masking_threshold(tone)
    # at its own place: 96 dB in its cell, 1.76 dB more with both neighbours, less 6.025 + 0.275 z
    bark = 13 * np.arctan(0.76) + 3.5 * np.arctan((1000 / 7500) ** 2)
    assert threshold.levels[50, 32] == pytest.approx(96 + 10 * np.log10(1.5) - 6.025 - 0.275 * bark, abs=0.05)
    assert threshold.level(tone.samples)[50, 32] == pytest.approx(96, abs=0.01)
    # far above it there is the threshold in quiet
    assert threshold.levels[50, 250] == pytest.approx(threshold_in_quiet(np.array([250 * 31.25]))[0], abs=3)
    assert threshold.margin(tone.samples * 1e-3) == pytest.approx(threshold.margin(tone.samples) + 60, abs=1e-3)
    assert threshold.margin(np.zeros(16_000)) == np.inf


def test_spreading_is_as_printed() -> None:
    distance = np.array([-2.0, -0.5, 0.5, 2.0])
    np.testing.assert_allclose(spread(distance, np.array(60.0)), [-47, -15, -8.5, -25])


def test_spreading_is_steeper_below_than_above() -> None:
    distance = np.array([-4.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 9.0])
    soft, loud = spread(distance, np.array(40.0)), spread(distance, np.array(90.0))
    assert soft[3] == loud[3] == 0
    assert (soft[[0, 7]] == -np.inf).all()
    assert loud[1] < loud[5] <= 0
    assert loud[6] > soft[6]  # louder maskers reach further up


def test_a_real_answer_flips(shared: Path) -> None:
    pytest.importorskip("transformers")
    model = open_model(f"hf:{shared / 'models' / 'hf' / 'digits' / 'whisper'}", "cpu")
    clip = audio.read(shared / "data" / "fsdd" / "3_jackson_00.flac", model.sample_rate, 1.0)
    subject = make_subject(Spectrum(clip), Driver(Classifier(model)))
    flip = flip_of(subject, "remove", "scale", "shift", bounds=Bounds(25, snr=20.0), budget=300)
    assert flip.snr >= 20
    assert flip.wav.label != int(subject.original.argmax())
    alone = flip_of(subject_of(model, clip, gradients=False), "shift", budget=300)
    assert alone.wav.label != int(subject.original.argmax())
    np.testing.assert_allclose(alone.change.decibels, 0, atol=1e-9)
