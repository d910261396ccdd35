"""The tables of queue.sqlite, how a file is opened and older ones become these, and the longest question to them."""

import apsw

from appliance.queue.store import Corrupt, Refused

PAGE = 16384

SCHEMA = """
CREATE TABLE IF NOT EXISTS message(
  id INTEGER PRIMARY KEY, sender BLOB NOT NULL, size INTEGER NOT NULL, deliveries INTEGER NOT NULL, content BLOB);
CREATE TABLE IF NOT EXISTS delivery(
  id INTEGER PRIMARY KEY, message INTEGER NOT NULL, channel INTEGER NOT NULL, destination BLOB NOT NULL,
  due REAL NOT NULL, attempts INTEGER NOT NULL, recipients BLOB NOT NULL, report BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS delivery_due ON delivery(channel, due);
CREATE INDEX IF NOT EXISTS delivery_destination ON delivery(destination, due) WHERE channel = 1;
CREATE TABLE IF NOT EXISTS failure(id INTEGER PRIMARY KEY, message INTEGER NOT NULL, text BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS failure_message ON failure(message);
CREATE TABLE IF NOT EXISTS last_id(one INTEGER PRIMARY KEY CHECK (one = 1), id INTEGER NOT NULL);
INSERT OR IGNORE INTO last_id VALUES (1, 0);
CREATE TABLE IF NOT EXISTS journal(one INTEGER PRIMARY KEY CHECK (one = 1), cycle BLOB NOT NULL);
INSERT OR IGNORE INTO journal VALUES (1, randomblob(8));
CREATE TABLE IF NOT EXISTS total(one INTEGER PRIMARY KEY CHECK (one = 1), messages INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS notice(message INTEGER PRIMARY KEY, due REAL NOT NULL, delayed INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS notice_due ON notice(due);
"""
VERSION = 5  # of the schema, in user_version; 1 had no journal, 2 no total, 3 no notices, 4 no order of cycles
ORDERED = 5  # the first whose cycles tell which of two came later
UPGRADES = {  # to what a version has not
    3: "INSERT OR REPLACE INTO total SELECT 1, count(*) FROM message;",  # reads it all: a million messages are a gigabyte
    4: "INSERT INTO notice SELECT DISTINCT message, 0.0, 0 FROM failure;",  # they are overdue
}
# every destination once, by one step in the index each, and whether something is due there
DESTINATIONS = (  # noqa: S608  # it is put together from constants
    "WITH RECURSIVE each(name) AS (SELECT min(destination) FROM {0} UNION ALL SELECT (SELECT min(destination) FROM {0} "
    "AND destination > name) FROM each WHERE name IS NOT NULL LIMIT ?) "
    "SELECT name, (SELECT min(due) FROM {0} AND destination = name) <= ? FROM each WHERE name IS NOT NULL"
).format("delivery INDEXED BY delivery_destination WHERE channel=1")


def prepare(connection: apsw.Connection) -> int:
    """Make a file ready to be the queue; the version that it had, 0 if it is new. Raises Refused, Corrupt, apsw.Error."""
    # exclusive before WAL: no shared memory file, and a second opener is refused
    connection.pragma("locking_mode", "exclusive")
    connection.pragma("page_size", PAGE)
    if connection.pragma("journal_mode", "wal") != "wal":
        raise Refused("this file system or file does not allow a write-ahead log")
    connection.pragma("synchronous", "full")
    connection.pragma("temp_store", "memory")
    connection.pragma("cache_size", -16000)
    version = int(connection.pragma("user_version"))
    if version not in range(VERSION + 1):
        raise Corrupt(f"the database has version {version}, this program reads {VERSION}")
    upgrades = "".join(text for to, text in UPGRADES.items() if version < to)
    connection.execute(f"BEGIN EXCLUSIVE; {SCHEMA} {upgrades} PRAGMA user_version={VERSION}; COMMIT")
    return version
