"""What a schema can't say: the rules between keys, one function each.  Pure."""

from collections.abc import Callable, Iterator

from appliance.config import domain_rules, host_rules, user_rules
from appliance.config.model import Configuration
from appliance.config.problem import Finding
from appliance.config.sound import Unsound

Rule = Callable[[Configuration, Unsound], Iterator[Finding]]

# each rule, and the top-level keys that must be free of other mistakes for its verdict to mean something
RULES: tuple[tuple[Rule, frozenset[str]], ...] = (
    (domain_rules.unique, frozenset({"domains"})),
    (domain_rules.apart, frozenset({"domains"})),
    (domain_rules.postmasters, frozenset({"domains"})),
    (domain_rules.targets, frozenset({"domains", "postmaster", "users"})),
    (domain_rules.repeated, frozenset({"domains"})),
    (domain_rules.delivery, frozenset({"domains"})),
    (domain_rules.loops, frozenset({"domains"})),
    (user_rules.empty, frozenset({"domains", "users"})),
    (user_rules.twice, frozenset({"domains", "users"})),
    (user_rules.reached, frozenset({"domains", "users"})),
    (host_rules.listeners, frozenset({"listen"})),
    (host_rules.open_relay, frozenset({"relay", "listen"})),
    (host_rules.newlines, frozenset({"smtp"})),
    (host_rules.routes, frozenset({"routes", "domains"})),
    (host_rules.control, frozenset({"control"})),
)


def broken(configuration: Configuration, unsound: Unsound) -> list[Finding]:
    """Everything the rules have against a configuration."""
    found = (
        finding
        for rule, sections in RULES
        if not sections & unsound.sections
        for finding in rule(configuration, unsound)
    )
    return list(dict.fromkeys(found))  # the owner of a list stands once and means two addresses
