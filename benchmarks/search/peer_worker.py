"""The other tools, run in an environment of their own; they rank variables by asking over a pipe.

Started by :mod:`benchmarks.search.peers`, never imported by it. A request names a method, how many variables
there are, which label is explained and a seed. The worker asks about masks (packed bits) and is sent
probabilities (float64); at last it sends scores (float64 [size]), a higher one the more important. All messages
are plain Python values, so that the two sides may have different versions of NumPy.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
#: bool [M, size] → probabilities, float64 [M, labels]
Ask = Callable[[NDArray[np.bool_]], Scores]
#: masks a call of the tools that batch
BATCH = 32


def rank_rex(ask: Ask, size: int, label: int, seed: int) -> Scores:
    """rex-xai's responsibility map in spectral mode, with its default settings (20 iterations)."""
    import torch

    rex, config = import_module("rex_xai.explanation.rex"), import_module("rex_xai.input.config")
    input_data = import_module("rex_xai.input.input_data")
    prediction = import_module("rex_xai.responsibility.prediction")

    def predict(mutants: Any, target: Any = None) -> list[Any]:
        answers = ask(mutants.reshape(-1, size).numpy() > 0.5)
        return [prediction.Prediction(int(row.argmax()), float(row.max())) for row in answers]

    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    data = input_data.Data(np.ones((1, 1, size), dtype=np.float32), (1, 1, size), "cpu", mode="spectral", process=False)
    data.data = data.generic_tab_preprocess()
    data.set_mask_value(0)
    data.target = predict(data.data)[0]
    args = config.CausalArgs()
    args.seed, args.progress_bar, args.mode = seed, False, "spectral"
    maps, _ = rex.calculate_responsibility(data, args, predict)
    found = maps.get(label)
    return np.zeros(size) if found is None else np.asarray(found, dtype=np.float64).reshape(-1)


def rank_ablation(ask: Ask, size: int, label: int, seed: int) -> Scores:
    """captum's FeatureAblation: each variable removed alone."""
    import torch

    method = import_module("captum.attr").FeatureAblation(_forward(ask, label))
    scores = method.attribute(torch.ones(1, size), baselines=0.0, perturbations_per_eval=BATCH)
    return np.asarray(scores[0].numpy(), dtype=np.float64)


def rank_kernel(ask: Ask, size: int, label: int, seed: int) -> Scores:
    """captum's KernelShap with 512 samples."""
    import torch

    np.random.seed(seed)
    torch.manual_seed(seed)
    method = import_module("captum.attr").KernelShap(_forward(ask, label))
    scores = method.attribute(torch.ones(1, size), baselines=0.0, n_samples=512, perturbations_per_eval=BATCH)
    return np.asarray(scores[0].numpy(), dtype=np.float64)


def rank_partition(ask: Ask, size: int, label: int, seed: int) -> Scores:
    """shap's PartitionExplainer over a tree of neighbouring variables, about 544 evaluations."""
    import scipy.cluster.hierarchy

    shap = import_module("shap")

    def predict(rows: Any) -> Scores:
        return ask(np.asarray(rows) > 0.5)[:, label]

    np.random.seed(seed)
    tree = scipy.cluster.hierarchy.linkage(np.arange(size, dtype=np.float64)[:, None], "complete")
    masker = shap.maskers.Partition(np.zeros((1, size)), clustering=tree)
    explainer = shap.explainers.Partition(predict, masker)
    scores = explainer(np.ones((1, size)), max_evals=544, batch_size=BATCH, silent=True)
    return np.asarray(scores.values, dtype=np.float64).reshape(-1)


METHODS: dict[str, Callable[[Ask, int, int, int], Scores]] = {
    "rex-xai": rank_rex,
    "captum FeatureAblation": rank_ablation,
    "captum KernelShap": rank_kernel,
    "shap Partition": rank_partition,
}


def _forward(ask: Ask, label: int) -> Callable[[Any], Any]:
    import torch

    def forward(rows: Any) -> Any:
        return torch.from_numpy(ask(rows.numpy() > 0.5)[:, label].astype(np.float32))

    return forward


def serve() -> None:
    """Answer requests until the other side closes the pipe."""
    output = os.dup(1)
    os.dup2(2, 1)  # what the tools print must not get between the messages
    pipe_in, pipe_out = Connection(0, writable=False), Connection(output, readable=False)

    def ask(masks: NDArray[np.bool_]) -> Scores:
        pipe_out.send(("ask", len(masks), np.packbits(masks, axis=1).tobytes()))
        labels, content = pipe_in.recv()
        return np.frombuffer(content, dtype=np.float64).reshape(-1, labels)

    while True:
        try:
            method, size, label, seed = pipe_in.recv()
        except EOFError:
            return
        try:
            scores = METHODS[method](ask, size, label, seed)
            pipe_out.send(("scores", size, np.nan_to_num(scores).astype(np.float64).tobytes()))
        except Exception as error:
            pipe_out.send(("error", 0, f"{type(error).__name__}: {error}".encode()))


if __name__ == "__main__":
    serve()
