"""A qmail host's files to a YAML that says the same: read (tree), carried over (carry), written (emit)."""
