"""Two attributions of captum on one's own model, held to one yardstick: which marks what the model listens to?

::

    pip install captum scikit-learn
    python examples/captum_maps.py MODEL maps RECORDING...     # a map a recording, as .npy
    earwitness evaluate RECORDING... --model hf:MODEL --map ig=maps/ig --map shap=maps/shap --own --out page

``MODEL`` is a folder or name that transformers loads as an audio classifier, or any spec of a model that has
gradients, such as ``builtin:mtt-vgg``. Both attributions are of *gains* on the bins of the clip's Fourier transform, 1
at the clip and 0 at silence: the signal is irfft(gains · rfft(clip)), so what they say of a bin is about keeping it.
Integrated gradients (Sundararajan et al., 2017) say so of each bin, kernel SHAP (Lundberg & Lee, 2017) of 64 bands,
each a feature, and of a bin what it says of its band.

The same works for any attribution that one can write as an array: of ``shap``, ``audioLIME``, ``rex-xai``, or of one's
own: a value a bin, band, cell or sample.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from captum.attr import IntegratedGradients, KernelShap
from torch import Tensor

import earwitness
from earwitness.signal.domains import Domain
from earwitness.signal.spectrum import Spectrum

STEPS = 32  #: of the integral
SAMPLES = 256  #: of kernel SHAP
BANDS = Domain.parse("mel:64")


def over_gains(classifier: earwitness.Classifier, clip: earwitness.Clip) -> Callable[[Tensor], Tensor]:
    """The model as a function of gains on the clip's bins: float32 [B, bins] → log-probabilities [B, labels]."""
    spectrum = torch.fft.rfft(torch.tensor(clip.samples))

    def forward(gains: Tensor) -> Tensor:
        return classifier.log_probabilities(torch.fft.irfft(gains * spectrum, len(clip)))

    return forward


def attribute(classifier: earwitness.Classifier, clip: earwitness.Clip) -> dict[str, np.ndarray]:
    """Both attributions of the model's own answer to the clip: float64 [bins] each."""
    forward, gains = over_gains(classifier, clip), torch.ones(1, len(clip) // 2 + 1)
    label = int(forward(gains).argmax())
    gradients = IntegratedGradients(forward).attribute(gains, target=label, n_steps=STEPS, internal_batch_size=8)
    bands = torch.from_numpy(Spectrum(clip, BANDS).band)[None]
    with torch.inference_mode():
        shap = KernelShap(forward).attribute(
            gains, target=label, feature_mask=bands, n_samples=SAMPLES, perturbations_per_eval=16
        )
    return {"ig": gradients[0].detach().double().numpy(), "shap": shap[0].double().numpy()}


def main() -> None:
    """Write the maps of each recording."""
    model, out, *recordings = sys.argv[1:]
    spec = model if ":" in model else f"hf:{model}"
    classifier = earwitness.Classifier(earwitness.open_model(spec))
    torch.manual_seed(0)
    for recording in recordings:
        clip = earwitness.read(recording, classifier.model.sample_rate)
        for name, values in attribute(classifier, clip).items():
            path = Path(out, name, f"{Path(recording).stem}.npy")
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, values)
            print(path)


if __name__ == "__main__":
    main()
