"""The side-by-side benchmark: `make bench`. Start reading at run.py."""
