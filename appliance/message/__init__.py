"""Messages that Paperpath writes itself, bounces: pure, without input or output."""
