"""SMTP in: takes a message from a client, hands it to the queue, says 250 when the queue has it.

The world connects to its ports, it connects to the queue's intake door.  It may read the
generations and write nothing.  Read in this order:

main.py        the process: sockets, sandbox, start and stop
server.py      what the sessions of a process share: limits, settings, the clock
settings.py    what one generation says about SMTP
connection.py  a client's connection: its beginning and its end, and how long it may take
session.py     what is said on it: bytes in, replies out
verbs.py       what each command does
commands.py    what a command line says                (pure)
conduct.py     what a session may do that brings no mail (pure)
arrival.py     a message between DATA and the queue's answer
data.py        its content as it comes                 (pure)
stream.py      the pieces of a large one on their way to the queue
"""
