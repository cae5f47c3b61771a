"""The few types that every room shares; imports nothing else of hzsynth."""
