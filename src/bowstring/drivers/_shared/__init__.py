"""What every driver needs and none should write again."""
