"""Paperpath: a mail transfer agent of small programs that do not trust each other."""

__version__ = "0.1.0"
