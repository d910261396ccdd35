"""What stands in a message: pure, and without input or output."""
