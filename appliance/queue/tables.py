"""The tables of queue.sqlite, how older ones become these, and the longest question to them."""

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
VERSION = 4  # of the schema, in user_version; 1 had no journal, 2 no total, 3 no notices
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
