"""The launcher: starts the `|program` lines of dot-qmail files, each locked in for its one delivery.

It is a program of its own because a locked process never gets more than its parent has, and `local` may not start
anything.  `main` answers the launch door (`appliance/launch.py`) and forks a minder for each connection; `minder`
reads the request, has `program` start the command, watches it (`limits`, `descendants`), and ends everything that
it has left behind.  `reach` says what a program may use.  Nothing from outside is read by the process that stays.
"""
