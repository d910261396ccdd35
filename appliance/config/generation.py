"""The name of a generation: a hash over its files, the same for the same YAML everywhere.  Pure."""

import hashlib

from appliance import netstring


def generation_name(files: dict[str, bytes]) -> str:
    """The hash over paths and bytes, framed so that no two sets of files are alike."""
    digest = hashlib.sha256()
    for path, data in sorted(files.items()):
        digest.update(netstring.encode(path.encode()))
        digest.update(netstring.encode(data))
    return digest.hexdigest()[:16]
