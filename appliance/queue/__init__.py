"""The queue: what is accepted here is never lost.

A message's way through this folder: intake (the door) -> sorting (where it goes) -> commit and a
store (on disk) -> leases (in a worker's hands) -> outcome (what became of it) -> bounce.
docs/internals.md states the guarantees; the comments here name them by number.
"""
