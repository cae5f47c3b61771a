"""One published data set a file."""
