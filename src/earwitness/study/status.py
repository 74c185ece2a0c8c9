"""How far a study is: what is done, left and failed, without reading a result."""

from __future__ import annotations

from typing import Any

from .store import Store


def study_status(store: Store) -> dict[str, Any]:
    """What is done, left, failed and why.

    Returns
    -------
    dict
        ``name``; ``clips`` and ``models`` of the study; ``explanations`` and ``judgements`` (a model's answers to a
        signal) done; ``left_out`` (explanations not wanted, as the model does not say the clip's own label);
        ``to_explain`` (units left) and ``to_judge`` (signals left, as far as they are known); ``failed`` and
        ``failures`` (``stage``, ``clip``, ``model``, ``reason``); ``finished``; ``environments``, where it was made:
        versions, hardware and threads.

    Raises
    ------
    StoreError
        The store holds no study yet.
    """
    meta, key = store.meta(), store.settings_key()
    counts = store.count(key)
    failures = store.list_failures(key)
    failed = [row["stage"] for row in failures]
    units = counts["clips"] * counts["models"]
    only_correct = bool(meta.get("study", {}).get("only_correct"))
    # a clip that was asked about and not explained was left out; one that was not asked about is still to come
    left_out = counts["originals"] - counts["explanations"] if only_correct else 0
    left = units - counts["explanations"] - left_out - failed.count("explain")
    signals_left = counts["signals"] * counts["models"] - counts["judgements"]
    return {
        "name": meta.get("name", ""), "clips": counts["clips"], "models": counts["models"],
        "explanations": counts["explanations"], "judgements": counts["judgements"], "left_out": left_out,
        "to_explain": max(0, left), "to_judge": signals_left, "failed": len(failures), "failures": failures,
        "finished": left <= 0 and (signals_left == 0 or "judge" in failed),
        "environments": [made for made, _ in read_environments(store)],
    }  # fmt: skip


def read_environments(store: Store) -> list[tuple[dict[str, Any], str]]:
    """Where a study was made: each environment, and that in one line.

    Raises
    ------
    StoreError
        What the store says of them is damaged.
    """
    with store.naming(unit="fact 'environments'"):
        return [(made, tell_environment(made)) for made in store.meta().get("environments", [])]


def tell_environment(made: dict[str, Any]) -> str:
    """An environment in one line."""
    libraries = ", ".join(f"{name} {number}" for name, number in made["libraries"].items())
    threads = "1 thread" if made["threads"] == 1 else f"{made['threads']} threads"
    where = ", ".join(made["devices"]) if made["devices"] != ["cpu"] else made["processor"]
    return f"{libraries}, Python {made['python']} on {made['system']}; {where}, {threads}"
