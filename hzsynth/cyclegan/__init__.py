"""Mapping diseased photographs onto another skin, with the lesion kept."""
