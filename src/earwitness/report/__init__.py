"""The report: data, figures, sounds, page."""

from .data import StudyData, load_study
from .evaluation import evaluation_html, write_evaluation
from .figures import write_figures
from .notebook import explanation_html
from .page import write_report
from .plots.clip import plot_explanation, plot_spectrogram, plot_spectrum, save_figure, spectrogram_data, spectrum_data
from .plots.evaluation import plot_maps
from .plots.manipulation import plot_robustness
from .plots.spectral import plot_densities, plot_entropies, plot_flips
from .plots.study import matrix_data, plot_curves, plot_estimates, plot_matrix
from .plots.style import paper_style, save_axes
from .sections.certainty import epsilon_curves

__all__ = [
    "StudyData", "epsilon_curves", "evaluation_html", "explanation_html", "load_study", "matrix_data", "paper_style",
    "plot_curves", "plot_densities", "plot_entropies", "plot_estimates", "plot_explanation", "plot_flips", "plot_maps",
    "plot_matrix", "plot_robustness", "plot_spectrogram", "plot_spectrum", "save_axes", "save_figure",
    "spectrogram_data", "spectrum_data", "write_evaluation", "write_figures", "write_report",
]  # fmt: skip
