"""Frames between programs, one of which may be hostile: what a reader takes, its writer writes back; else ValueError."""

from appliance import launch, lease, netstring

WORDS = (
    b"\0",
    b"1 2 1 3 1\0",
    b"Fs\0Tr\0\0",
    b"R7\0",
    b"Kok\0",
    b"Zno\0",
    b"E0\0",
    b"L",
    b"/home\0",
    b"A=b\0",
    b"S",
    b" ",
    b"_",
)


def target(data: bytes) -> None:
    for decode, encode in _FRAMES:
        try:
            found = decode(data)
        except ValueError:
            continue
        (again,) = netstring.Decoder(1 << 20).feed(encode(found))
        assert decode(again) == found
    try:
        number, reports = lease.decode_report(data)
    except ValueError:
        return
    (again,) = netstring.Decoder(1 << 20).feed(lease.encode_report(number, reports))
    assert lease.decode_report(again) == (number, reports)


_FRAMES = (
    (lease.decode_delivery, lease.encode_delivery),
    (lease.decode_silences, lease.encode_silences),
    (launch.decode_request, launch.encode_request),
    (launch.decode_outcome, launch.encode_outcome),
)
