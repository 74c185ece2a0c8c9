"""Earwitness: what did my audio classifier listen to, and would another classifier be convinced by it?"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .analyses.robustness import Robustness, find_robust
    from .errors import AudioError, ConfigError, EarwitnessError, LabelError, ModelError, StoreError
    from .evaluation.measures import Evaluation, evaluate
    from .evaluation.settings import EvaluationSettings
    from .evaluation.tables import compare_maps
    from .explanation import Explanation, Missing, Subset, explain
    from .models import Classifier, Model, align, aligned, as_classifier, open_model
    from .search.settings import RobustSettings, SearchSettings
    from .session import Study
    from .signal.arrays import as_clip
    from .signal.audio import Clip, read
    from .transferability.answers import Answers
    from .transferability.judges import transfer
    from .verification import Verification, verify

__version__ = "0.1.0"

__all__ = [
    "Answers",
    "AudioError",
    "Classifier",
    "Clip",
    "ConfigError",
    "EarwitnessError",
    "Evaluation",
    "EvaluationSettings",
    "Explanation",
    "LabelError",
    "Missing",
    "Model",
    "ModelError",
    "RobustSettings",
    "Robustness",
    "SearchSettings",
    "StoreError",
    "Study",
    "Subset",
    "Verification",
    "align",
    "aligned",
    "as_classifier",
    "as_clip",
    "compare_maps",
    "evaluate",
    "explain",
    "find_robust",
    "open_model",
    "read",
    "transfer",
    "verify",
]

#: where the public names live; each is imported when it is first asked for, since torch takes a second
_HOMES = {
    "analyses.robustness": ("Robustness", "find_robust"),
    "errors": ("AudioError", "ConfigError", "EarwitnessError", "LabelError", "ModelError", "StoreError"),
    "evaluation.measures": ("Evaluation", "evaluate"),
    "evaluation.settings": ("EvaluationSettings",),
    "evaluation.tables": ("compare_maps",),
    "explanation": ("Explanation", "Missing", "Subset", "explain"),
    "models": ("Classifier", "Model", "align", "aligned", "as_classifier", "open_model"),
    "search.settings": ("RobustSettings", "SearchSettings"),
    "session": ("Study",),
    "signal.arrays": ("as_clip",),
    "signal.audio": ("Clip", "read"),
    "transferability.answers": ("Answers",),
    "transferability.judges": ("transfer",),
    "verification": ("Verification", "verify"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
            return value
    if not name.startswith("_") and find_spec(f"{__name__}.{name}"):  # a package that nothing has imported yet
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
