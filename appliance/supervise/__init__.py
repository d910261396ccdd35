"""The supervisor: keeps the programs of one table running.

It forks them, and starts them again when they end or when the active generation asks for others.
Nobody connects to it: signals tell it to stop (SIGTERM) and to look at the YAML (SIGHUP).  It has
no sandbox of its own, for its children could not have more than it.
"""
