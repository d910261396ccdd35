"""The queue: what is accepted here is never lost.

A message's way through this folder: intake (the door) -> sorting (where it goes) -> commit and a
store (on disk) -> leases (in a worker's hands) -> outcome (what became of it) -> bounce.
smtpd and local bring messages to its intake door, local and remote take them from its lease door,
the command line asks at its admin door.  It may write STATE/queue and nothing else.
docs/internals.md states the guarantees; the comments here name them by number.
"""
