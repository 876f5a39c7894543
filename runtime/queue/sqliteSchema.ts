/**
 * The tables of an embedded queue.
 *
 * `job` says what was asked for, `tally` where it stands; the tally of each job that changed is written once
 * for each batch, so that opening a queue costs as much as it has jobs, however many chunks they have.
 *
 * `input` remembers which chunks the client sent, also when they are settled or split. `chunk` is the work:
 * its rows are small because leasing rewrites them, so the bodies stand apart. The id of a chunk is never used
 * again: it tells a chunk from a child that takes its place at the same first index.
 *
 * `sweep` lists jobs of which rows are still to be removed, a few at a time: the work of a job that ended, and
 * everything of one that was deleted.
 */
export const schemaVersion = 1;

/** "FARC" in ASCII: marks the file as ours. */
export const applicationId = 0x46415243;

/** `chunk.phase`. Leases and delays are those of one process: the next one starts with everything ready. */
export const phases = { ready: 0, leased: 1, delayed: 2 } as const;

export const schema = `
CREATE TABLE meta(epoch TEXT NOT NULL, clean INTEGER NOT NULL) STRICT;
INSERT INTO meta VALUES('', 0);

CREATE TABLE job(
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  spec TEXT NOT NULL,
  createdAtMs INTEGER NOT NULL
) STRICT;

CREATE TABLE tally(
  job INTEGER PRIMARY KEY,
  state TEXT NOT NULL,
  revision INTEGER NOT NULL,
  total INTEGER,
  accepted INTEGER NOT NULL,
  inputEnd INTEGER NOT NULL,
  apart INTEGER NOT NULL,
  ready INTEGER NOT NULL,
  pending INTEGER NOT NULL,
  leased INTEGER NOT NULL,
  settled INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  workBytes INTEGER NOT NULL
) STRICT;

CREATE TABLE input(
  job INTEGER NOT NULL,
  lo INTEGER NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY(job, lo)
) STRICT, WITHOUT ROWID;

CREATE TABLE chunk(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job INTEGER NOT NULL,
  phase INTEGER NOT NULL,
  lo INTEGER NOT NULL,
  count INTEGER NOT NULL,
  deaths INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  sizeBytes INTEGER NOT NULL
) STRICT;
CREATE INDEX chunkByPhase ON chunk(job, phase, lo);
CREATE TABLE body(id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;

CREATE TABLE outcome(
  sequence INTEGER PRIMARY KEY,
  job INTEGER NOT NULL,
  lo INTEGER NOT NULL,
  count INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX outcomeByIndex ON outcome(job, lo);
CREATE INDEX outcomeBySequence ON outcome(job);
CREATE INDEX errorByIndex ON outcome(job, lo) WHERE errors > 0;
CREATE INDEX errorBySequence ON outcome(job) WHERE errors > 0;

CREATE TABLE sweep(job INTEGER PRIMARY KEY, everything INTEGER NOT NULL) STRICT;

PRAGMA application_id = ${applicationId};
PRAGMA user_version = ${schemaVersion}
`;

/** Came later: a file without them is given them, and an older Farcall does not mind them. */
export const noteSchema = "CREATE TABLE IF NOT EXISTS note(job INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT";
export const creditSchema = `CREATE TABLE IF NOT EXISTS credit(
  job INTEGER NOT NULL,
  name TEXT NOT NULL,
  settled INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  PRIMARY KEY(job, name)
) STRICT, WITHOUT ROWID`;
