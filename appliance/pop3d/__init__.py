"""POP3: people fetch their mail from a Maildir (RFC 1939, 2449, 3206).

The world connects to its port.  It may read the generations and the hashes of passwords, write in mailboxes,
and connect nowhere.  Read in this order:

main.py           the process: socket, sandbox, start and stop
server.py         what the sessions share: settings, limits, threads
settings.py       what one generation says about POP3
session.py        a client's connection from its greeting to its end
logins.py         log-ins, slowed down where they fail
authorization.py  what a client may say before it has logged in     (pure)
transaction.py    what it may say after that
commands.py       what a command line says                          (pure)
mailbox.py        a Maildir as one session sees it: lock, read, remove
listing.py        which messages lie in it, and how large they are
wire.py           a stored message as POP3 sends it                 (pure)

qmail's own programs by the same code, for tcpserver and scripts:

standard.py       the client on standard input and output
popup.py          qmail-popup: asks for a password, hands it to another program
qmail_pop3d.py    qmail-pop3d: serves one Maildir
checkpassword.py  paperpath-checkpassword: asks the passwords of the generation in force
"""
