"""Measurements of what models' evidence is worth to others."""
