"""Which control files `control:` may name, and which have a key of their own."""

# what a file holds: one line, or many
ONE, MANY = "one line", "a list"

KNOWN = {
    "badmailfrom": MANY,
    "bouncefrom": ONE,
    "bouncehost": ONE,
    "defaultdomain": ONE,
    "defaulthost": ONE,
    "envnoathost": ONE,
    "helohost": ONE,
    "idhost": ONE,
    "localiphost": ONE,
    "percenthack": MANY,
    "plusdomain": ONE,
    "qmqpservers": MANY,
    "smtpgreeting": ONE,
}

# read by programs that come later
LATER = frozenset({"defaultdomain", "defaulthost", "idhost", "plusdomain", "qmqpservers"})

# compiled from a key; writing the file as well would contradict it
OWN_KEY = {
    "me": "hostname",
    "locals": "hostname and domains",
    "rcpthosts": "domains",
    "morercpthosts": "domains",
    "virtualdomains": "domains",
    "smtproutes": "routes",
    "routesecurity": "routes",
    "concurrencylocal": "queue.concurrency.local",
    "concurrencyremote": "queue.concurrency.remote",
    "queuelifetime": "queue.lifetime",
    "databytes": "limits.message_size",
    "maxhops": "limits.hops",
    "maxrecipients": "limits.recipients",
    "maxsessions": "limits.sessions",
    "maxsessionsperclient": "limits.sessions_per_client",
    "timeoutsmtpd": "timeouts.smtpd",
    "timeoutremote": "timeouts.remote",
    "timeoutconnect": "timeouts.connect",
    "doublebounceto": "postmaster",
    "doublebouncehost": "postmaster",
    "defaultdelivery": "domains.….mailboxes.….deliver",
    "listen": "listen",
    "relayfrom": "relay.allow_from",
    "barenewline": "smtp.normalize_from",
    "processes": "processes",
    "hardening": "hardening",
}
