"""The default gateway, behind which every client of a published port may seem to be."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from appliance.config.model import Configuration


def gateway_warning(configuration: Configuration, gateways: list[str]) -> list[str]:
    """What the owner should read if a gateway may relay, or send passwords in clear. Pure."""
    cleartext = [network for listener in configuration.listeners for network in listener.cleartext]
    places = (
        ("relay.allow_from", configuration.relay_from, "everybody may relay"),
        ("listen.pop3.cleartext_from", cleartext, "everybody's passwords are taken without TLS"),
    )
    return [
        f"{key}: {network} contains the default gateway {gateway}; behind a published port every "
        f"client may look like the gateway, and then {then}"
        for key, networks, then in places
        for gateway in gateways
        for network in networks
        if ip_address(gateway) in network
    ]


def gateways_in(ipv4: str, ipv6: str) -> list[str]:
    """The default gateways in the kernel's routing tables. Pure."""
    found: list[str] = []
    for line in ipv4.splitlines()[1:]:
        _, destination, gateway, *_, mask = line.split()[:8]
        if int(destination, 16) == int(mask, 16) == 0 != int(gateway, 16):
            found.append(str(IPv4Address(bytes.fromhex(gateway)[::-1])))  # as the kernel holds it: little-endian
    for line in ipv6.splitlines():
        destination, length, _, _, gateway = line.split()[:5]
        if int(destination, 16) == int(length, 16) == 0 != int(gateway, 16):
            found.append(str(IPv6Address(bytes.fromhex(gateway))))
    return list(dict.fromkeys(found))
