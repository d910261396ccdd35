"""QMTP and QMQP in: hosts hand over their mail without SMTP's many turns.

The world connects to its ports, it connects to the queue's intake door; as smtpd it may read the
generations and write nothing.  QMTP (http://cr.yp.to/proto/qmtp.txt) is for everybody and obeys what SMTP obeys;
QMQP (http://cr.yp.to/proto/qmqp.html) is for hosts of ours that have no queue, and relays.

main.py       the process: sockets, sandbox, start and stop
server.py     what its sessions share, and their limits
settings.py   what one generation says
session.py    a connection: packages in, answers out
qmtp.py       a package of QMTP, piece by piece
qmqp.py       a request of QMQP
wire.py       netstrings as they come, of any size
decision.py   which recipients are taken             (pure)
handover.py   a message on its way to the queue
stdio.py      qmail-qmtpd and qmail-qmqpd, as tcpserver starts them
"""
