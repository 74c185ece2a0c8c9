"""One file a layout of a data set: how it is recognised, how it is read."""
