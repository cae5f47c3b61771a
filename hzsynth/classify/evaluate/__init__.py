"""Evaluation on real photographs: figures, subgroups, robustness, comparison, and their pages."""
