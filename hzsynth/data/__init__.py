"""Skin photographs: decoding, duplicates, splits, skin tone, lesions, and the sources of images."""
