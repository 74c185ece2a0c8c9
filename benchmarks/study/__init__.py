"""What a study costs beside the models (memory, workers, rows), and that how it is run changes nothing."""
