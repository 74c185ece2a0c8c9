"""Small random models of Hugging Face, by family, and what the library itself makes of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from earwitness.errors import ModelError
from earwitness.models.huggingface import load_huggingface

transformers = pytest.importorskip("transformers")

CPU = torch.device("cpu")
SHARED = Path(os.environ.get("EARWITNESS_SHARED", Path(__file__).resolve().parents[2] / "shared"))
CONVOLUTIONAL = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
    "conv_dim": [8, 8], "conv_kernel": [10, 8], "conv_stride": [5, 4], "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 8, "vocab_size": 8,
    # SpecAugment would act if the model were left in training mode
    "mask_time_prob": 0.9, "mask_time_length": 2, "mask_time_min_masks": 2,
}  # fmt: skip
CONVOLUTIONAL_FAMILIES = ("wav2vec2", "hubert", "wavlm", "sew", "unispeech-sat", "data2vec-audio")
FAMILIES = (*CONVOLUTIONAL_FAMILIES, "whisper", "ast", "wav2vec2-bert")


def tiny(family: str, **changes: Any) -> tuple[Any, Any]:
    """A small random model of a family, in eval mode, and its extractor."""
    torch.manual_seed(0)
    names = {"id2label": {0: "yes", 1: "no", 2: "maybe"}, "label2id": {"yes": 0, "no": 1, "maybe": 2}} | changes
    if family == "whisper":
        config: Any = transformers.WhisperConfig(
            d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
            encoder_ffn_dim=16, decoder_ffn_dim=16, num_mel_bins=20, max_source_positions=50, vocab_size=16,
            max_target_positions=8, classifier_proj_size=8, pad_token_id=0, bos_token_id=1, eos_token_id=2,
            decoder_start_token_id=1, begin_suppress_tokens=None, **names,
        )  # fmt: skip
        extractor: Any = transformers.WhisperFeatureExtractor(feature_size=20, chunk_length=1)
    elif family == "ast":
        config = transformers.ASTConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, max_length=48,
            num_mel_bins=16, patch_size=8, frequency_stride=8, time_stride=8, **names,
        )  # fmt: skip
        extractor = transformers.ASTFeatureExtractor(max_length=48, num_mel_bins=16)
    elif family == "wav2vec2-bert":
        config = transformers.Wav2Vec2BertConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
            classifier_proj_size=8, feature_projection_input_dim=160, **names,
        )  # fmt: skip
        extractor = transformers.SeamlessM4TFeatureExtractor()
    else:
        config = transformers.AutoConfig.for_model(family, **CONVOLUTIONAL, **names)
        extractor = transformers.Wav2Vec2FeatureExtractor(return_attention_mask=family == "wav2vec2")
    return transformers.AutoModelForAudioClassification.from_config(config).eval(), extractor


def save(pair: tuple[Any, Any], folder: Path) -> Path:
    """A model and its extractor as a folder."""
    for each in pair:
        each.save_pretrained(folder)
    return folder


def noise(batch: int, samples: int, seed: int = 0) -> Tensor:
    """Float32 [B, N]."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(0.1 * rng.standard_normal((batch, samples), dtype=np.float32))


def by_library(pair: tuple[Any, Any], waveforms: Tensor) -> Tensor:
    """Logits through the library's own extractor, a clip at a time."""
    model, extractor = pair
    answers = []
    for waveform in waveforms.numpy():
        inputs = extractor([waveform], sampling_rate=16000, return_tensors="pt")
        answers.append(model(**inputs).logits[0].detach())
    return torch.stack(answers)


def refused(path: Path | str, because: str, **options: bool) -> None:
    """It is refused with a reason in which ``because`` is found."""
    with pytest.raises(ModelError, match=because):
        load_huggingface(str(path), CPU, **options)


def edit(folder: Path, change: Callable[[dict[str, Any]], Any], name: str = "config.json") -> None:
    """Change a JSON file in place."""
    file = folder / name
    settings = json.loads(file.read_text()) if file.exists() else {}
    change(settings)
    file.write_text(json.dumps(settings))
