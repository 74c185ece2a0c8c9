"""Earwitness: what did my audio classifier listen to, and would another classifier be convinced by it?"""

from .errors import AudioError, ConfigError, EarwitnessError, LabelError, ModelError, StoreError
from .explanation import Explanation, Missing, Subset, explain
from .models import Classifier, Model, align, aligned, as_classifier, open_model
from .search.settings import SearchSettings
from .signal.audio import Clip, read
from .transferability.answers import Answers
from .transferability.judges import transfer

__version__ = "0.1.0"

__all__ = [
    "Answers",
    "AudioError",
    "Classifier",
    "Clip",
    "ConfigError",
    "EarwitnessError",
    "Explanation",
    "LabelError",
    "Missing",
    "Model",
    "ModelError",
    "SearchSettings",
    "StoreError",
    "Subset",
    "align",
    "aligned",
    "as_classifier",
    "explain",
    "open_model",
    "read",
    "transfer",
]
