"""Maps of any tool, held to one yardstick: what follows from them, what survives of it, whom it convinces."""
