"""What one generation says about QMTP and QMQP."""

from functools import lru_cache

from appliance import policy
from appliance.control import Generation
from appliance.rcpthosts import RcptHosts
from appliance.recipient import Recipients

PROTOCOLS = (b"qmtp", b"qmqp")  # their names in control/listen


class Settings:
    """Raises OSError, LookupError, ValueError if the generation can't be used.

    limit: bytes of a message, 0 for any number; timeout: seconds for each read and write of a client;
    client: what is known of an address; may_qmqp: whether it is one of our own hosts
    """

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.me = generation.me
        self.limit = generation.integer("databytes", 0)
        self.max_hops = generation.integer("maxhops", 100)
        self.timeout = max(1, generation.integer("timeoutsmtpd", 1200))
        self.max_sessions = generation.integer("maxsessions", 1000)
        self.max_sessions_per_client = generation.integer("maxsessionsperclient", 0)
        listen = generation.mapping("listen")
        self.listen = {name: listen[name] for name in PROTOCOLS if name in listen}
        self.policy = policy.Policy(
            Recipients(generation).standing,
            RcptHosts.of(generation),
            generation.lines("badmailfrom") or (),
            generation.integer("maxrecipients", 1000),
        )
        relay_from = policy.networks(generation.lines("relayfrom") or ())
        qmqp_from = policy.networks(generation.lines("qmqpfrom") or ())
        self.client = lru_cache(maxsize=4096)(lambda address: policy.client(address, relay_from, ()))
        self.may_qmqp = lru_cache(maxsize=4096)(lambda address: policy.client(address, qmqp_from, ()).may_relay)
