"""The searches measured: against plain greedy removal, against other tools, and on planted models."""
