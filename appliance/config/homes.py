"""Where users of a qmail host live, and what their files are called.  Pure; ValueError completes "found 'x'; …"."""


def relative_path(text: str) -> str:
    """A file below the folder of the configuration."""
    if text.startswith("/") or not text.isprintable() or not text or ".." in text.split("/"):
        raise ValueError("a path below the folder of this file is needed, such as users/assign")
    return text


def home(text: str) -> str:
    """A home below the state folder, where `local` may write."""
    parts = text.split("/")
    if parts[0] != "mail" or not all(parts) or ".." in parts or "." in parts or not text.isprintable():
        below = "/".join(part for part in parts if part.strip("."))
        hint = below if below.startswith("mail/") else f"mail/{below}"
        raise ValueError(f"a home lies in mail/ of the state folder: write {hint} and move the folder there")
    return text


def dot_qmail_name(text: str) -> str:
    """The name of a dot-qmail file, as the look-up spells it."""
    if not text.startswith(".qmail") or "/" in text or not text.isprintable():
        raise ValueError("the name of a dot-qmail file is needed, such as .qmail or .qmail-lists-x")
    if text.lower() != text or "." in text[1:]:
        small = ".qmail" + text[6:].lower().replace(".", ":")
        raise ValueError(f"it would never be found; small letters, and colons for dots: {small}")
    return text
