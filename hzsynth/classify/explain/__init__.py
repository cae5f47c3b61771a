"""Where a classifier looked: Grad-CAM, and how much of its heat lies inside the lesion."""
