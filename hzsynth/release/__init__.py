"""A bundle of images that may leave: evidence, card, checklist, checksums, and the check on arrival."""
