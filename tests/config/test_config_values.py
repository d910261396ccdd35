"""Durations, sizes, names, addresses, networks and routes as people write them."""

import pytest

from appliance.config import values
from appliance.config.values import Via

HASH = "$2b$04$mcdefghijklmnopqrstuuNEtL4ILcyDZJ3KcYC5OWWXEkpRPIMYeG"

READ = [
    ("duration", "90s", 90),
    ("duration", "20m", 1200),
    ("duration", "36h", 129600),
    ("duration", "7d", 604800),
    ("duration", "2w", 1209600),
    ("message_size", "50MiB", 52428800),
    ("message_size", "10MB", 10000000),
    ("program_size", "512MiB", 512 << 20),
    ("returned_size", "0B", 0),
    ("returned_size", "128KiB", 131072),
    ("report_time", "end", 0),
    ("report_time", "4h", 14400),
    ("notice_time", "never", 0),
    ("notice_time", "1s", 1),
    ("message_size", "65536B", 65536),
    ("hostname", "MX.Example.ORG", "mx.example.org"),
    ("domain", "xn--bcher-kva.example", "xn--bcher-kva.example"),
    ("domain", "under_score.example", "under_score.example"),
    ("local_name", "First.Last+tag", "first.last+tag"),
    ("address", "Carol@EXAMPLE.com", "Carol@example.com"),  # the local part is its host's business
    ("target", "Alice", "alice"),
    ("network", "10.0.0.7", "10.0.0.7/32"),
    ("network", "fd00::/8", "fd00::/8"),
    ("ip_address", "0:0::1", "::1"),
    ("route_domain", "*", ""),
    ("route_domain", "*.Partner.example", ".partner.example"),
    ("via", "smtp://mail.example", Via("smtp", "mail.example", 25)),
    ("via", "smtps://192.0.2.1", Via("smtps", "192.0.2.1", 465)),
    ("via", "smtp://[2001:DB8::1]:26/", Via("smtp", "[2001:db8::1]", 26)),
    ("via", "mx", Via("smtp", "", 0)),
    ("password_hash", HASH, HASH),
    ("delivery_line", "./Maildir/", "./Maildir/"),
    ("delivery_line", "bob@b.example", "bob@b.example"),
    ("delivery_line", "# nothing", "# nothing"),
]

REFUSED = [
    ("duration", "7"),
    ("duration", "1h30m"),
    ("duration", "7D"),
    ("duration", "11000d"),
    ("message_size", "50M"),
    ("program_size", "1MiB"),
    ("program_size", "2000GiB"),
    ("returned_size", "129KiB"),
    ("returned_size", "large"),
    ("report_time", "never"),
    ("report_time", "0s"),
    ("notice_time", "end"),
    ("message_size", "3GiB"),
    ("hostname", "localhost"),
    ("hostname", "192.0.2.1"),
    ("hostname", "::1"),
    ("domain", "a" * 64 + ".example"),
    ("domain", ".".join(["a" * 60] * 5)),
    ("domain", "example.123"),
    ("domain", ""),
    ("local_name", ""),
    ("local_name", "a" * 65),
    ("local_name", "a b"),
    ("local_name", "a:b"),
    ("local_name", "a\0b"),
    ("local_name", "ä"),
    ("address", "alice"),
    ("address", "@example.org"),
    ("address", "a..b@example.org"),
    ("network", "10.0.0.1/8"),
    ("network", "10.0.0.0/-1"),
    ("ip_address", "*"),
    ("route_domain", "*.*"),
    ("via", "mail.example"),
    ("via", "smtp://"),
    ("via", "smtp://mail.example:0"),
    ("via", "smtp://[mail.example]"),
    ("via", "smtp://a.example/path"),
    ("via", "smtp://u:p@a.example"),
    ("password_hash", "hunter2"),
    ("password_hash", "$argon2id$v=19"),
    ("password_hash", "$1$salt$hash-by-md5"),
    ("password_hash", "$2b$12$abcdefghijklmnopqrstuv"),  # half of it
    ("password_hash", HASH + "\n"),
    ("secret", "hunter2"),
    ("file_path", "relative"),
    ("delivery_line", "&bob"),
    ("delivery_line", "./"),
    ("delivery_line", "/var/mail/bob"),
    ("delivery_line", "./a/../../b/"),
    ("delivery_line", "a\nb"),
    ("control_line", "a\0"),
]


@pytest.mark.parametrize(("kind", "text", "value"), READ)
def test_it_is_read(kind, text, value):
    """Names fold to lower case, units are counted out, defaults of ports are filled in."""
    found = getattr(values, kind)(text)
    assert (str(found) if kind == "network" else found) == value


@pytest.mark.parametrize(("kind", "text"), REFUSED)
def test_it_is_refused_with_a_reason(kind, text):
    """Every refusal says what would be right, and never repeats the text, which may be a secret."""
    with pytest.raises(ValueError, match=r"\w") as caught:
        getattr(values, kind)(text)
    if kind in {"password_hash", "secret"}:
        assert text not in str(caught.value)
