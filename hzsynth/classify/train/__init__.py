"""Training of classifiers: fine-tuning, robust training, KDE-CT, and going on with more photographs."""
