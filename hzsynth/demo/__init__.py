"""The whole path on the phantom, as a user would walk it."""
