"""Classifiers: fine-tuning, distillation by KDE-CT, and evaluation on real photographs."""
