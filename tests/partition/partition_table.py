"""Who may touch what: the table of docs/security.md, as the tests expect it."""

PROGRAMS = ("smtpd", "qmtpd", "queue", "local", "launcher", "program", "remote", "pop3d", "config")

# the programs that may; `program` is a mailbox's own
ALLOWED: dict[str, str] = {
    "read the configuration": "smtpd qmtpd queue local launcher program remote pop3d config",
    "change the configuration": "config",
    "read the YAML": "config",
    "change the YAML": "",
    "read password hashes": "pop3d config",
    "change password hashes": "config",
    "read the queue": "queue",
    "change the queue": "queue",
    "read mail": "local launcher pop3d",
    "change mail": "local launcher pop3d",
    "read a role token": "",
    "read the token of inject": "launcher program",
    "change run/": "",
    "read other files": "",
    "change other files": "",
    "list processes": "launcher",
    "enter intake": "smtpd qmtpd local program",
    "enter lease": "local remote",
    "enter admin": "",
    "enter launch": "local",
    "connect to mail hosts": "remote",
    "connect to other ports": "",
    "connect past Landlock": "",
    "listen on another port": "",
    "send UDP": "remote",
    "open other sockets": "",
    "use abstract sockets": "",
    "fork": "launcher program config",
    "signal others": "",
    "look into others": "",
    "limit others": "",
    "change modes and owners": "launcher",
    "become another user": "",
    "mount and enter namespaces": "",
    "use rare doors of the kernel": "",
    "share memory and messages": "",
    "type into terminals": "",
    "keep files without a name": "local launcher program",
    "run code it has written": "launcher program",
    "start programs": "launcher program",
}
# doors of its own, which nobody is asked at
OWN = {("queue", "enter intake"), ("queue", "enter lease"), ("queue", "enter admin"), ("queue", "enter launch")}
OWN |= {("launcher", "enter launch")}
