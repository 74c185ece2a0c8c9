"""Does a signal that convinces one model convince others? Definitions, answers, tables, statistics."""
