"""Local delivery: leases deliveries from the queue and puts them into mailboxes.

`worker` takes what has fallen due as one batch, `deliver` carries it out for each recipient: `lookup`
finds the recipient's instructions (users/cdb, dot-qmail files), `plan` turns them into steps,
`maildir` writes files, `forward` hands new messages to the queue.  A batch is reported after all
of it is on the disk (`disk`).  This is qmail-lspawn and qmail-local in one process.  It connects to the
queue's lease and intake doors and listens nowhere; it may write STATE/mail and nothing else.
"""
