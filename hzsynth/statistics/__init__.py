"""What is said of a classifier's answers: figures, their intervals, and the difference of two."""
