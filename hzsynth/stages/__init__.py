"""Where rooms meet: what needs two of them, for the commands and for Python alike.

Everything here takes where to compute and where progress is shown, and nothing of the command line.
"""
