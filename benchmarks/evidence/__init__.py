"""Evidence that survives and convinces others, measured."""
