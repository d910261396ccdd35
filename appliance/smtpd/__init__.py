"""SMTP in: takes a message from a client, hands it to the queue, says 250 when the queue has it.

main.py      the process: sockets, sandbox, start and stop
server.py    what the sessions of a process share: limits, settings, the clock
settings.py  what one generation says about SMTP
session.py   one client's connection: bytes in, replies out
verbs.py     what each command does
commands.py  what a command line says                              (pure)
policy.py    who may send what to whom                             (pure)
data.py      the content between DATA and the dot                  (pure)
received.py  the trace header                                      (pure)
stream.py    a large message on its way to the queue, piece by piece
"""
