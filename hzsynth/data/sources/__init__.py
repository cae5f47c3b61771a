"""One published data set a file; `registry` lists them."""
