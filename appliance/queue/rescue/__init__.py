"""A queue that is damaged: set aside whole, read as far as it can be read, and fed into a fresh one.

aside (found, and put out of the way) -> salvage (what of it can be read: pages, wal, the journal) -> recovery
(into the running queue, by the commits that all mail takes) -> letter (the postmaster hears what is lost).
"""
