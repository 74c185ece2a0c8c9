"""The built-in taggers: equal to the published graphs, and usable on clips of any length."""

from __future__ import annotations

import importlib.util
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import signal
from torch import Tensor, nn

from earwitness.errors import ModelError
from earwitness.models.musicnn import BUILTIN_NAMES, WINDOW_SAMPLES, MusicTagger, load_builtin, window_starts
from earwitness.models.musicnn_networks import LogMel, Musicnn, Vgg, _Stage

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")
SHARED_LABELS = {"guitar", "electronic", "rock", "ambient", "pop", "dance", "country", "metal"}
Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def taggers() -> dict[str, MusicTagger]:
    return {name: load_builtin(name, CPU) for name in BUILTIN_NAMES}


@pytest.fixture(scope="module")
def reference() -> Path:
    folder = Path(os.environ.get("EARWITNESS_SHARED", ROOT.parent / "shared")) / "reference" / "musicnn"
    if not folder.is_dir():
        pytest.skip(f"the published graphs' outputs are not here: no {folder}; set EARWITNESS_SHARED")
    return folder


def music(samples: int, seed: int = 0, clips: int = 1) -> Tensor:
    """Chords over noise, float32 [clips, samples], amplitude under 1."""
    rng = np.random.default_rng([seed, samples])
    time = np.arange(samples) / 16000
    tones = np.sin(2 * np.pi * rng.uniform(80, 4000, (clips, 6, 1)) * time).mean(1)
    waves = 0.5 * tones + 0.05 * rng.standard_normal((clips, samples))
    return torch.from_numpy(waves.astype(np.float32))


# -- the front end ---------------------------------------------------------------------------------------


def hertz_of(mel: float) -> float:
    """Slaney's scale, one mel at a time: 200/3 Hz a mel to 1 kHz, then a factor of 6.4 in 27 mel."""
    return mel * 200 / 3 if mel < 15 else 1000.0 * 6.4 ** ((mel - 15) / 27)


def slow_log_mel(wave: Floats) -> Floats:
    """[N] → [T, 96] in float64, by scipy's transform and a loop over the triangles."""
    padded = np.pad(wave, 256, mode="reflect")
    window = signal.get_window("hann", 512, fftbins=True)
    frames = [padded[start : start + 512] for start in range(0, len(padded) - 511, 256)]
    power = np.abs(np.fft.rfft(np.array(frames) * window)) ** 2
    top = 15 + 27 * np.log(8000 / 1000) / np.log(6.4)
    edges = [hertz_of(top * index / 97) for index in range(98)]
    mels = np.zeros((len(power), 96))
    for band in range(96):
        low, middle, high = edges[band : band + 3]
        for index in range(257):
            hertz = index * 16000 / 512
            height = 2 / (high - low)
            if low < hertz <= middle:
                mels[:, band] += power[:, index] * height * (hertz - low) / (middle - low)
            elif middle < hertz < high:
                mels[:, band] += power[:, index] * height * (high - hertz) / (high - middle)
    return np.asarray(np.log10(10000 * mels + 1))


@pytest.mark.parametrize("samples", [257, 5000, 48000])
def test_log_mel_equals_formula(samples: int) -> None:
    waves = music(samples, clips=2)
    found = LogMel()(waves)
    assert found.shape == (2, 1 + samples // 256, 96)
    assert found.dtype == torch.float32
    for wave, mel in zip(waves, found, strict=True):
        expected = slow_log_mel(wave.double().numpy())
        assert expected.max() > 1  # else the comparison would be of silence
        np.testing.assert_allclose(mel.numpy(), expected, atol=1e-4)


def test_log_mel_of_silence_is_zero_with_finite_gradient() -> None:
    silence = torch.zeros(1, 4000, requires_grad=True)
    mels = LogMel()(silence)
    (gradient,) = torch.autograd.grad(mels.sum(), silence)
    assert not mels.any()
    assert torch.isfinite(gradient).all()


# -- the networks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILTIN_NAMES)
def test_network_equals_published_graph(name: str, taggers: dict[str, MusicTagger], reference: Path) -> None:
    dataset, kind = name.split("-")
    expected = np.load(reference / f"{dataset.upper()}_{kind}.npy")
    mels = torch.from_numpy(np.load(reference / "mel_input.npy"))
    found = torch.sigmoid(taggers[name].network(mels)).numpy()
    assert found.shape == expected.shape == (3, 50)
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)
    # the smallest sigmoids are far under 1e-4: compare what the searches use, too
    logits = np.log(expected.astype(float)) - np.log1p(-expected.astype(float))
    np.testing.assert_allclose(taggers[name].network(mels).numpy(), logits, atol=1e-3, rtol=1e-4)


def test_folded_stages_equal_unfolded_ones_for_scales_of_either_sign(taggers: dict[str, MusicTagger]) -> None:
    network = taggers["msd-vgg"].network
    assert isinstance(network, Vgg)
    stage = network.convolution[1]
    assert isinstance(stage, _Stage)
    gamma, beta, mean, variance = stage.norm.gamma, stage.norm.beta, stage.norm.mean, stage.norm.variance
    assert 0 < int((gamma < 0).sum()) < 128  # both kinds occur in the published weights
    assert 0 < len(stage.live) < 128  # so do channels without weights
    image = torch.randn(2, 128, 12, 12, generator=torch.Generator().manual_seed(0))
    active = nn.functional.conv2d(image, stage.weight, stage.bias, padding=1).relu()
    normed = nn.functional.batch_norm(active, mean, variance, gamma, beta, eps=1e-3)
    expected = nn.functional.max_pool2d(normed, 2)
    folded = nn.functional.conv2d(image, stage.kernel, stage.offset, padding=1)
    found = stage.clamp(nn.functional.max_pool2d(folded, 2))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("network", [Musicnn, Vgg])
def test_untrained_network_answers(network: Callable[[int], nn.Module]) -> None:
    assert network(7)(torch.rand(2, 187, 96)).shape == (2, 7)


# -- the taggers -----------------------------------------------------------------------------------------


def test_three_seconds_are_one_window_as_published(taggers: dict[str, MusicTagger]) -> None:
    waves = music(48000)
    mels = LogMel()(waves)
    assert mels.shape[1] == 188
    for tagger in taggers.values():
        torch.testing.assert_close(tagger.logits(waves), tagger.network(mels[:, :187]), atol=0, rtol=0)


def test_exact_window_is_neither_padded_nor_cut(taggers: dict[str, MusicTagger]) -> None:
    waves = music(WINDOW_SAMPLES)
    mels = LogMel()(waves)
    assert mels.shape[1] == 187
    for tagger in taggers.values():
        torch.testing.assert_close(tagger.logits(waves), tagger.network(mels), atol=0, rtol=0)


def test_ten_seconds_are_the_mean_logits_of_four_windows(taggers: dict[str, MusicTagger]) -> None:
    waves = music(160000)
    mels = LogMel()(waves)[0]
    assert len(mels) == 626
    for tagger in taggers.values():
        windows = torch.stack([mels[start : start + 187] for start in (0, 146, 292, 439)])
        expected = tagger.network(windows).mean(0, keepdim=True)
        torch.testing.assert_close(tagger.logits(waves), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("frames", [187, 188, 189, 373, 374, 375, 376, 626, 1876, 1877])
def test_windows_cover_the_clip(frames: int) -> None:
    starts = window_starts(frames)
    heard = {frame for start in starts for frame in range(start, start + 187)}
    assert heard in (set(range(frames)), set(range(frames - 1)))
    assert len(starts) == -(-(frames - 1) // 187)  # the fewest


@pytest.mark.parametrize("samples", [1, 200, 20000])
def test_short_clip_is_zero_padded_at_its_end(samples: int, taggers: dict[str, MusicTagger]) -> None:
    waves = torch.full((2, samples), 0.5)
    padded = torch.zeros(2, WINDOW_SAMPLES)
    padded[:, :samples] = waves
    for tagger in taggers.values():
        answers = tagger.logits(waves)
        assert answers.shape == (2, 50)
        assert torch.isfinite(answers).all()
        torch.testing.assert_close(answers, tagger.logits(padded), atol=0, rtol=0)
        assert not torch.equal(answers, tagger.logits(torch.zeros(2, samples)))


def test_batch_changes_no_bit(taggers: dict[str, MusicTagger]) -> None:
    waves = torch.cat([music(60000, clips=4), torch.zeros(1, 60000)])
    for tagger in taggers.values():
        together = tagger.logits(waves)
        alone = torch.cat([tagger.logits(wave[None]) for wave in waves])
        assert torch.equal(together, alone)
        assert len({tuple(row.tolist()) for row in together}) == 5
        assert tagger.deterministic


def test_gradients_reach_the_waveform_and_are_right(taggers: dict[str, MusicTagger]) -> None:
    base = music(60000)
    for tagger in taggers.values():
        waves = base.clone().requires_grad_()
        label = int(tagger.logits(base).argmax())
        (gradient,) = torch.autograd.grad(tagger.logits(waves)[0, label], waves)
        assert torch.isfinite(gradient).all()
        assert (gradient[0, :1000] != 0).any()
        last_heard = 234 if isinstance(tagger.network, Musicnn) else 48 + 160  # see the next test
        heard = gradient[0].nonzero()
        assert 256 * last_heard - 2000 < int(heard.max()) < 256 * last_heard + 256
        step = 1e-4 * gradient / gradient.norm()  # along the gradient a step raises the logit by its length
        ahead, behind = (tagger.logits(base + sign * step)[0, label] for sign in (1, -1))
        slope = float(ahead - behind) / 2e-4
        assert slope == pytest.approx(float(gradient.norm()), rel=0.1)


def test_published_pools_of_vgg_are_deaf_to_the_end_of_a_window(taggers: dict[str, MusicTagger]) -> None:
    mels = LogMel()(music(WINDOW_SAMPLES))
    for tagger in taggers.values():
        frames, bands = (161, 94) if isinstance(tagger.network, Vgg) else (187, 96)
        for beyond, louder in (
            (frames, mels + 3 * (torch.arange(187) >= frames)[:, None]),
            (bands, mels + 3 * (torch.arange(96) >= bands)),
        ):
            assert torch.equal(tagger.network(louder), tagger.network(mels)), beyond
        for heard in (
            mels + 3 * (torch.arange(187) >= frames - 1)[:, None],
            mels + 3 * (torch.arange(96) >= bands - 1),
        ):
            assert not torch.equal(tagger.network(heard), tagger.network(mels))
        assert any("161" in note for note in tagger.notes) == isinstance(tagger.network, Vgg)


def test_models_say_what_they_are(taggers: dict[str, MusicTagger]) -> None:
    for name, tagger in taggers.items():
        assert tagger.spec == f"builtin:{name}"
        assert tagger.sample_rate == 16000
        assert tagger.backend == "builtin"
        assert tagger.architecture == ("Vgg" if "vgg" in name else "Musicnn")
        assert tagger.differentiable
        assert tagger.notes
        assert len(tagger.labels) == len(set(tagger.labels)) == 50
    # 787,159 and 605,748: kernels, biases, gammas and betas, counted in the published graphs
    assert [taggers[name].parameters for name in BUILTIN_NAMES] == [787159, 605748, 787159, 605748]


def test_labels_of_both_datasets(taggers: dict[str, MusicTagger]) -> None:
    msd, mtt = taggers["msd-vgg"].labels, taggers["mtt-vgg"].labels
    assert taggers["msd-musicnn"].labels == msd
    assert taggers["mtt-musicnn"].labels == mtt
    assert set(msd) & set(mtt) == SHARED_LABELS
    assert (msd[0], msd[-1], mtt[0], mtt[-1]) == ("rock", "happy", "guitar", "choral")


def test_fingerprints_tell_models_apart(taggers: dict[str, MusicTagger]) -> None:
    prints = {tagger.fingerprint for tagger in taggers.values()}
    assert len(prints) == 4
    tagger = taggers["mtt-vgg"]
    again = load_builtin("mtt-vgg", CPU)
    assert again.fingerprint == tagger.fingerprint
    with torch.no_grad():
        again.network.output.bias[0] += 1
    changed = MusicTagger("mtt-vgg", again.network, again.labels, CPU)
    relabelled = MusicTagger("mtt-vgg", tagger.network, tagger.labels[::-1], CPU)
    assert len({tagger.fingerprint, changed.fingerprint, relabelled.fingerprint}) == 3


def test_unknown_name_lists_the_allowed() -> None:
    with pytest.raises(ModelError, match=re.escape(", ".join(BUILTIN_NAMES))) as caught:
        load_builtin("msd-musicn", CPU)
    assert "did you mean 'msd-musicnn'" in str(caught.value)


# -- the conversion --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def convert() -> ModuleType:
    path = ROOT / "tools" / "convert_musicnn.py"
    if not path.is_file():
        pytest.skip(f"no {path}: the tools are only in a checkout")
    spec = importlib.util.spec_from_file_location("convert_musicnn", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_table_reader_reads_a_bundle_made_by_hand(convert: ModuleType) -> None:
    def entry(shared: int, key: bytes, value: bytes) -> bytes:
        return bytes([shared, len(key), len(value)]) + key + value

    def block(*entries: bytes) -> bytes:
        return b"".join(entries) + struct.pack("<II", 0, 1)

    shape = bytes([0x12, 2, 0x08, 2])  # field 2 of the shape: dim { size: 2 }
    first = bytes([0x08, 1, 0x12, len(shape)]) + shape + bytes([0x28, 8])
    second = bytes([0x08, 1, 0x12, len(shape)]) + shape + bytes([0x20, 8, 0x28, 8, 0x35, 1, 2, 3, 4])
    data = block(
        entry(0, b"", b"\x08\x01"),
        entry(0, b"a/b", first),
        entry(2, b"c", second),
        entry(3, b"/Adam", second),
    )
    index = block(entry(0, b"z", bytes([0, len(data)])))
    handles = bytes([0, 0, len(data) + 5, len(index)])
    footer = handles + bytes(40 - len(handles)) + struct.pack("<Q", 0xDB4775248B80FB57)
    table = data + bytes(5) + index + bytes(5) + footer
    values = np.array([1, 2, 3, 4], dtype="<f4")
    found = convert.read_checkpoint(table, values.tobytes())
    assert {name: array.tolist() for name, array in found.items()} == {"a/b": [1, 2], "a/c": [3, 4]}
    with pytest.raises(ValueError, match="not a LevelDB table"):
        convert.read_checkpoint(table[:-1] + b"\0", values.tobytes())
    with pytest.raises(ValueError, match="compression 1"):
        convert.read_checkpoint(table[: len(data)] + b"\1" + table[len(data) + 1 :], values.tobytes())


def test_varints_longer_than_a_byte(convert: ModuleType) -> None:
    assert convert.read_varint(b"\xff\xac\x02", 1) == (300, 3)
