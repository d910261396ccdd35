"""users/assign: refused with its line, or a database in which each entry's own name is found."""

from appliance import users

WORDS = (b"=", b"+", b":", b"\n.\n", b"=a:u:1:2:h:-:e:\n", b"+a-:u:1:2:h:::\n", b"\0", b".", b"::::::\n")


def target(data: bytes) -> None:
    try:
        found = users.Users(users.build(data))
    except ValueError as error:
        assert "users/assign" in str(error)
        return
    for line in data.split(b"\n"):
        if line[:1] == b".":
            break
        key, user, _, _, _, _, ext = line.split(b":")[:7]
        local = key[1:]
        answer = found.find(local)
        assert answer is not None
        if key[:1] != b"+":
            assert b"+" in data or answer.ext in data
        tail = found.find(local + b"-X-9") if key[:1] == b"+" else None
        assert key[:1] != b"+" or tail is not None, (user, ext)
    for local in (b"", b"a", b"A-b", b"-" * 300):
        known = found.find(local)
        assert known is None or known.uid >= 0 <= known.gid
