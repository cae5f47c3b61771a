"""A classifier for others to use: ONNX, calibration, predictions, and the report of a photograph."""
