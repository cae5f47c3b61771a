"""One published data set a file, and the list of them."""

SOURCES = ("folder", "phantom")
"""The KIND of every source that can be imported; each is a module of this package."""
