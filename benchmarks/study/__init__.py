"""What a study costs beside the models: memory, workers, rows."""
