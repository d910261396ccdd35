"""What one generation says about SMTP: read once, then used by every session that begins under it."""

from functools import lru_cache

from appliance import interfaces, policy
from appliance.control import Generation
from appliance.rcpthosts import RcptHosts
from appliance.recipient import Recipients

RECIPIENTS_LIMIT = 4000  # an envelope of more might not fit in one frame of the intake


class Settings:
    """SMTP under one generation.  Raises OSError, LookupError, ValueError if its files can't be used."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.me = generation.me
        self.size_limit = generation.integer("databytes", 0)
        self.max_hops = generation.integer("maxhops", 100)
        self.timeout = max(1, generation.integer("timeoutsmtpd", 1200))
        self.max_sessions = generation.integer("maxsessions", 1000)
        self.max_sessions_per_client = generation.integer("maxsessionsperclient", 0)
        self.max_errors = generation.integer("maxerrors", 20)
        self.max_refusals = generation.integer("maxrefusals", 100)
        self.max_commands = generation.integer("maxcommands", 200)
        self.session_timeout = max(1, generation.integer("timeoutsession", 3600))
        self.processes = max(1, generation.processes("smtpd"))
        self.listen = generation.mapping("listen").get(b"smtp")
        greeting = generation.line("smtpgreeting", self.me)
        self.greeting = b"220 %b ESMTP\r\n" % greeting
        self.helo_reply = b"250 %b\r\n" % greeting
        self.goodbye = b"221 2.0.0 %b\r\n" % greeting
        # only what is served; RFC 1870 section 4: SIZE 0 is no fixed limit
        self.ehlo_reply = (
            b"250-%b\r\n250-PIPELINING\r\n250-SIZE %d\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"
        ) % (greeting, self.size_limit)
        self.localiphost = generation.line("localiphost", self.me)
        public = (line.decode("ascii", "replace") for line in generation.lines("publicaddresses") or ())
        self.own_addresses = interfaces.addresses() | {"0.0.0.0", *public}  # noqa: S104  # whoever writes to it means us
        self.policy = policy.Policy(
            Recipients(generation).standing,
            RcptHosts.of(generation),
            generation.lines("badmailfrom") or (),
            min(generation.integer("maxrecipients", 1000), RECIPIENTS_LIMIT),
        )
        relay_from = policy.networks(generation.lines("relayfrom") or ())
        bare_newline = policy.networks(generation.lines("barenewline") or ())
        # the same clients come again and again, and a generation never changes
        self.client = lru_cache(maxsize=4096)(lambda address: policy.client(address, relay_from, bare_newline))
