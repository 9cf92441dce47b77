"""The index of a local store: its SQLite schema, its migrations, and how a connection is opened.

The index holds nothing that could not be found again in the blobs and the tombstones (`repair.rebuild_index`), except
the moment at which an instance came in.

`instance.generation` is the blob's number. Facts about the bytes (offsets, frame table, kept JSON) hang on the generation,
never on the UID, so a replaced instance can never be read with the old one's offsets.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import orjson

from gateway.backends.results import instance_alone, rendered
from gateway.dicomweb.names import plain
from gateway.dicomweb.resources import Resource
from gateway.errors import StoreUnavailable

VERSION = 4

BLOCK_BITS = 8
"""Studies of 256 neighbouring ids are counted together: a page begins behind fewer than that, and a million studies are 4,000 blocks."""

BUSY_SECONDS = 10.0
"""How long a connection waits for SQLite's own lock. Writers queue on `Files.write_lock` before, so this is only met when
a checkpoint or a tool outside holds the database."""

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO meta VALUES ('next_generation', 1), ('tombstone_bytes', 0), ('changes', 0);

-- A study's and a series' own attributes are those of the earliest instance (`source`) that is still stored.
CREATE TABLE study (
    id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, source INTEGER NOT NULL, attributes BLOB NOT NULL,
    date TEXT, time TEXT, accession TEXT, referring TEXT, patient_name TEXT, patient_id TEXT, birth_date TEXT, sex TEXT,
    study_id TEXT, description TEXT, series_count INTEGER NOT NULL DEFAULT 0, instance_count INTEGER NOT NULL DEFAULT 0);
CREATE INDEX study_date ON study (date, time);
CREATE INDEX study_patient_id ON study (patient_id);
CREATE INDEX study_patient_name ON study (patient_name);
CREATE INDEX study_accession ON study (accession);

CREATE TABLE series (
    id INTEGER PRIMARY KEY, study INTEGER NOT NULL REFERENCES study (id), uid TEXT NOT NULL, source INTEGER NOT NULL,
    attributes BLOB NOT NULL, modality TEXT, number TEXT, description TEXT, body_part TEXT, step_date TEXT, step_time TEXT,
    scheduled_step_id TEXT, requested_procedure_id TEXT, instance_count INTEGER NOT NULL DEFAULT 0, UNIQUE (study, uid));
CREATE INDEX series_uid ON series (uid);
CREATE INDEX series_modality ON series (modality, study);

CREATE TABLE instance (
    generation INTEGER PRIMARY KEY, series INTEGER NOT NULL REFERENCES series (id), uid TEXT NOT NULL, attributes BLOB NOT NULL,
    sop_class TEXT NOT NULL, number TEXT, syntax TEXT NOT NULL, size INTEGER NOT NULL, checksum BLOB NOT NULL, stored_at REAL NOT NULL,
    pixel_tag INTEGER, pixel_start INTEGER, pixel_end INTEGER, frames BLOB, UNIQUE (series, uid));
CREATE INDEX instance_uid ON instance (uid);
CREATE INDEX instance_sop_class ON instance (sop_class);

-- DICOM JSON of an instance, made when it is first asked for.
CREATE TABLE metadata (generation INTEGER PRIMARY KEY, json BLOB NOT NULL);

-- What a 410 is answered for: a whole study has empty series and instance, a series an empty instance.
CREATE TABLE deleted (study TEXT, series TEXT, instance TEXT, PRIMARY KEY (study, series, instance)) WITHOUT ROWID;

-- Blobs that nothing names any more, and since when; unlinked after readers had time to finish.
CREATE TABLE garbage (generation INTEGER PRIMARY KEY, since REAL NOT NULL);
"""

_ORDER_AND_NAMES = """
-- Results stand in the order in which they were stored; an index ends with the row's number.
CREATE INDEX series_study ON series (study);
CREATE INDEX instance_series ON instance (series);
CREATE INDEX instance_number ON instance (CAST(number AS REAL), series);

-- Names without case and accents (`dicomweb.names.plain`), and the few with several component groups.
UPDATE study SET patient_name = plain(patient_name), referring = plain(referring), date = replace(date, '.', ''),
    birth_date = replace(birth_date, '.', '');

-- An instance's attributes are what a search in its series shows: such searches are the most, and return thousands.
UPDATE instance SET attributes = (SELECT alone(instance.attributes, s.uid, e.uid, instance.uid, instance.sop_class, instance.syntax)
    FROM series e JOIN study s ON s.id = e.study WHERE e.id = instance.series);
CREATE INDEX study_name_groups ON study (patient_name) WHERE instr(patient_name, '=') > 0;
"""

_EXTRACTED = """
-- Attributes without a column that were searched for, when that was (0: given up), and their values; see `extracted`.
CREATE TABLE extracted_tag (tag INTEGER PRIMARY KEY, used REAL NOT NULL);
CREATE TABLE extracted (tag INTEGER NOT NULL, generation INTEGER NOT NULL, json BLOB NOT NULL, PRIMARY KEY (tag, generation)) WITHOUT ROWID;
"""

_OUTGOING = """
-- Where instances of a spool still have to go ('' as long as nobody has decided), see `outgoing`. `due` is 0 until a delivery failed;
-- `sent` from the moment on from which the destination may have it.
CREATE TABLE delivery (
    generation INTEGER NOT NULL, destination TEXT NOT NULL, since REAL NOT NULL, due REAL NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0, sent INTEGER NOT NULL DEFAULT 0, dead INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (generation, destination)) WITHOUT ROWID;
CREATE INDEX delivery_order ON delivery (destination, dead, due, generation);

-- What was deleted while it was on its way, and has to be deleted there.
CREATE TABLE withdrawal (destination TEXT, study TEXT, series TEXT, instance TEXT,
    PRIMARY KEY (destination, study, series, instance)) WITHOUT ROWID;

-- What the last instances were that were delivered: enough to tell another version of one.
CREATE TABLE delivered (generation INTEGER PRIMARY KEY, study TEXT, series TEXT, instance TEXT, size INTEGER, checksum BLOB,
    UNIQUE (study, series, instance));
INSERT INTO meta VALUES ('departures', 0);
"""

_KEYS = """
-- All keys of studies in the order of results, narrow: a list is passed over here at 50 ns a study, a tenth of what the rows take.
CREATE INDEX study_keys ON study (
    id, date, time, accession, referring, patient_name, patient_id, birth_date, sex, study_id, description);
CREATE INDEX study_description ON study (description);
CREATE INDEX study_referring ON study (referring);
CREATE INDEX series_modalities ON series (study, modality);
"""

_BLOCKS = f"""
-- How much a run of {1 << BLOCK_BITS} studies holds: pages far in begin at the right one, and all is counted by adding a few rows.
CREATE TABLE block (id INTEGER PRIMARY KEY, study INTEGER NOT NULL, series INTEGER NOT NULL, instance INTEGER NOT NULL);
INSERT INTO block SELECT id >> {BLOCK_BITS}, count(*), sum(series_count), sum(instance_count) FROM study GROUP BY 1;
CREATE TRIGGER study_came AFTER INSERT ON study BEGIN
    INSERT INTO block VALUES (NEW.id >> {BLOCK_BITS}, 1, NEW.series_count, NEW.instance_count) ON CONFLICT (id) DO UPDATE
    SET study = study + 1, series = series + excluded.series, instance = instance + excluded.instance;
END;
CREATE TRIGGER study_grew AFTER UPDATE OF series_count, instance_count ON study BEGIN
    UPDATE block SET series = series + NEW.series_count - OLD.series_count, instance = instance + NEW.instance_count - OLD.instance_count
    WHERE id = NEW.id >> {BLOCK_BITS};
END;
CREATE TRIGGER study_went AFTER DELETE ON study BEGIN
    UPDATE block SET study = study - 1, series = series - OLD.series_count, instance = instance - OLD.instance_count
    WHERE id = OLD.id >> {BLOCK_BITS};
    DELETE FROM block WHERE id = OLD.id >> {BLOCK_BITS} AND study = 0;
END;
"""  # noqa: S608 - built of constants only

TERMS = ("patient_name", "referring", "description")
"""Columns of studies that people search with wildcards, and whose values come again and again."""


def _terms(column: str) -> str:
    gone = f"""UPDATE term SET studies = studies - 1 WHERE field = '{column}' AND text = OLD.{column};
    DELETE FROM term WHERE field = '{column}' AND text = OLD.{column} AND studies = 0;"""  # noqa: S608 - built of constants only
    come = f"""INSERT INTO term SELECT '{column}', NEW.{column}, 1 WHERE NEW.{column} IS NOT NULL
    ON CONFLICT (field, text) DO UPDATE SET studies = studies + 1;"""
    return f"""
INSERT INTO term SELECT '{column}', {column}, count(*) FROM study WHERE {column} IS NOT NULL GROUP BY {column};
CREATE TRIGGER {column}_came AFTER INSERT ON study BEGIN {come} END;
CREATE TRIGGER {column}_went AFTER DELETE ON study BEGIN {gone} END;
CREATE TRIGGER {column}_changed AFTER UPDATE OF {column} ON study WHEN NEW.{column} IS NOT OLD.{column} BEGIN {gone} {come} END;
"""  # noqa: S608 - built of constants only


_TERMS = """
-- Each value once, and how many studies have it: what begins anywhere is looked for here, then studies by the values found.
CREATE TABLE term (field TEXT NOT NULL, text TEXT NOT NULL, studies INTEGER NOT NULL, PRIMARY KEY (field, text)) WITHOUT ROWID;
CREATE INDEX term_groups ON term (field, text) WHERE instr(text, '=') > 0;
DROP INDEX IF EXISTS study_name_groups;
""" + "".join(map(_terms, TERMS))

_MIGRATIONS: dict[int, str] = {0: _SCHEMA, 1: _ORDER_AND_NAMES, 2: _EXTRACTED + _OUTGOING, 3: _KEYS + _BLOCKS + _TERMS}
"""What takes a database from one version to the next."""


def connect(path: Path | str, *, durable: bool = True, read_only: bool = False) -> sqlite3.Connection:
    """A connection with the pragmas that the store relies on.

    WAL, so that readers never wait for a writer; `synchronous=FULL`, since NORMAL was measured to lose committed rows when
    the power goes. Statements are not wrapped in implicit transactions: the writer says BEGIN IMMEDIATE itself.

    :raises StoreUnavailable: when the file is damaged, or no database.
    """
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise StoreUnavailable(f"the index cannot be opened: {error}; run `dicomweb-gateway rebuild-index`") from error
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    connection.execute("PRAGMA foreign_keys = OFF")  # the commit keeps the references itself
    connection.execute("PRAGMA cache_size = -8192")  # KiB: enough for the upper pages of a million rows, small beside a worker
    connection.execute("PRAGMA temp_store = MEMORY")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    return connection


def version(connection: sqlite3.Connection) -> int:
    """The version of a database's schema, 0 for an empty one."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


def migrate(connection: sqlite3.Connection) -> None:
    """Brings a database to the current version; the caller holds the write lock.

    :raises StoreUnavailable: when a newer version of the gateway wrote it.
    """
    found = version(connection)
    if found > VERSION:
        raise StoreUnavailable(f"the index has version {found}, this gateway knows {VERSION}; start the newer gateway again")
    connection.create_function("alone", 6, _alone, deterministic=True)
    connection.create_function("plain", 1, lambda name: name and plain(name), deterministic=True)
    while found < VERSION:
        connection.executescript(f"BEGIN IMMEDIATE;{_MIGRATIONS[found]}PRAGMA user_version = {found + 1};COMMIT;")
        found += 1


def _alone(own: bytes, study: str, series: str, sop: str, sop_class: str, syntax: str) -> bytes:
    return rendered(instance_alone(orjson.loads(own), Resource(study, series, sop), sop_class, syntax))
