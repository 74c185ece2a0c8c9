"""Earwitness: what did my audio classifier listen to, and would another classifier be convinced by it?"""

from .audio import Clip, read
from .errors import AudioError, ConfigError, EarwitnessError, LabelError, ModelError, StoreError
from .explain import Explanation, Missing, SearchSettings, Subset, explain
from .models import Classifier, Model, align, aligned, as_classifier, open_model
from .transfer import Answers, transfer

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
