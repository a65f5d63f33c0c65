"""I/O for the sans-I/O layer: one package for each way to wait."""
