"""What a question costs outside of the model, and how many are asked."""
