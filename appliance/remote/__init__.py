"""remote: takes deliveries from the queue and hands them to the next host by SMTP.

It connects to the queue's lease door, to name servers and to the ports of next hosts; nobody
connects to it.  It may read the generations and write nothing.

Read the code in this order: `worker` leases deliveries, `dispatch` sorts them by next hop,
`hops` and `mx` find the hop's addresses, `session` owns a connection, `client` speaks SMTP
on it, `data` puts the content on the wire, `reports` says what became of it.
"""
