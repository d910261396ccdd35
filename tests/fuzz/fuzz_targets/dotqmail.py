"""dot-qmail files: instructions or an error that names the fault; no extension names another folder.

The first line is an extension, the rest is the file.
"""

from appliance import dotqmail

WORDS = (
    b"|",
    b"./Maildir/",
    b"./mbox",
    b"&",
    b"+list",
    b"#",
    b"\n",
    b" \n",
    b"/",
    b"..",
    b"-default",
    b"\0",
    b"-",
    b".",
)


def target(data: bytes) -> None:
    ext, _, text = data.partition(b"\n")
    names = [name for name, _ in dotqmail.search(b"-", ext)]
    assert len(names) <= len(ext) + 2
    assert all(b"/" not in name and b"\0" not in name and b"." not in name[1:] for name in names)
    assert all(name.startswith(b".qmail-") for name in names)
    for forward_only in (False, True):
        try:
            found = dotqmail.instructions(text, forward_only=forward_only)
        except dotqmail.DotQmailError as error:
            assert error.enhanced in ("4.2.1", "4.7.0")
        else:
            assert len(found) <= text.count(b"\n") + 1
            assert not forward_only or all(line.action is dotqmail.Action.FORWARD for line in found)
            assert all(b"\n" not in line.target for line in found)
