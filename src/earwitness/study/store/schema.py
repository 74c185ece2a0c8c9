"""The tables of a store, and what brings an older store up to date."""

from __future__ import annotations

SCHEMA_VERSION = 5


SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- what a study asked for: search settings and aligned labels; its key is their hash
CREATE TABLE settings (key TEXT PRIMARY KEY, search TEXT NOT NULL, labels TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE models (
  id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE, spec TEXT NOT NULL, backend TEXT NOT NULL,
  architecture TEXT NOT NULL, parameters INTEGER NOT NULL, sample_rate INTEGER NOT NULL, labels TEXT NOT NULL,
  notes TEXT NOT NULL);
CREATE TABLE clips (
  id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, path TEXT NOT NULL, label TEXT, grp TEXT NOT NULL,
  split TEXT NOT NULL, dataset TEXT NOT NULL, sample_rate INTEGER NOT NULL, samples INTEGER NOT NULL,
  fitted TEXT NOT NULL);
-- what each model says to each clip itself: natural logarithms of probabilities, float32 little endian
CREATE TABLE originals (
  clip INTEGER NOT NULL, model INTEGER NOT NULL, settings TEXT NOT NULL, log_probabilities BLOB NOT NULL,
  PRIMARY KEY (settings, clip, model)) WITHOUT ROWID;
CREATE TABLE explanations (
  id INTEGER PRIMARY KEY, clip INTEGER NOT NULL, model INTEGER NOT NULL, settings TEXT NOT NULL,
  size INTEGER NOT NULL, queries INTEGER NOT NULL, seconds REAL NOT NULL, why TEXT NOT NULL,
  responsibility BLOB, unsteady REAL NOT NULL DEFAULT 0, UNIQUE (settings, clip, model));
-- mask: zlib of numpy.packbits over the variables; NULL, with a reason, where there is no set
CREATE TABLE subsets (
  id INTEGER PRIMARY KEY, explanation INTEGER NOT NULL REFERENCES explanations ON DELETE CASCADE,
  kind TEXT NOT NULL, draw INTEGER NOT NULL, mask BLOB, size INTEGER, energy REAL, certificate TEXT,
  groups INTEGER, queries INTEGER, log_probabilities BLOB, why TEXT NOT NULL,
  -- of a null signal: the set it is the chance baseline of
  parent INTEGER REFERENCES subsets ON DELETE CASCADE,
  -- of a robust set and its null signals: the key of what it was sought with; else empty
  options TEXT NOT NULL DEFAULT '', UNIQUE (explanation, kind, draw, options));
-- those the study asks for: robust sets that were sought with other options stay, and are no part of it
CREATE VIEW signals AS SELECT * FROM subsets
  WHERE options = '' OR options = (SELECT json_extract(value, '$') FROM meta WHERE key = 'robust');
-- what each model says to each subset's signal
CREATE TABLE transfers (
  subset INTEGER NOT NULL REFERENCES subsets ON DELETE CASCADE, model INTEGER NOT NULL,
  log_probabilities BLOB NOT NULL, PRIMARY KEY (subset, model)) WITHOUT ROWID;
CREATE TABLE failures (
  settings TEXT NOT NULL, stage TEXT NOT NULL, clip TEXT NOT NULL, model TEXT NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (settings, stage, clip, model)) WITHOUT ROWID;
-- the deeper analyses: a unit of work's rows as a JSON list of flat records, and a signal where there is one
CREATE TABLE results (
  settings TEXT NOT NULL, analysis TEXT NOT NULL, options TEXT NOT NULL, unit TEXT NOT NULL, rows TEXT NOT NULL,
  signal BLOB, PRIMARY KEY (settings, analysis, options, unit)) WITHOUT ROWID;
-- with what options an analysis was run, by their hash; ``used`` grows with each use
CREATE TABLE options (
  settings TEXT NOT NULL, analysis TEXT NOT NULL, key TEXT NOT NULL, options TEXT NOT NULL, used INTEGER NOT NULL,
  PRIMARY KEY (settings, analysis, key)) WITHOUT ROWID;
-- of what a study is made, by its settings: the models in the study's order, the clips
CREATE TABLE planned_models (
  settings TEXT NOT NULL, position INTEGER NOT NULL, model INTEGER NOT NULL, PRIMARY KEY (settings, position))
  WITHOUT ROWID;
CREATE TABLE planned_clips (
  settings TEXT NOT NULL, clip INTEGER NOT NULL, PRIMARY KEY (settings, clip)) WITHOUT ROWID;
-- files read before, so that an unchanged one need not be read again to know its clip
CREATE TABLE files (
  path TEXT NOT NULL, sample_rate INTEGER NOT NULL, seconds REAL NOT NULL, bytes INTEGER NOT NULL,
  modified INTEGER NOT NULL, clip INTEGER NOT NULL, PRIMARY KEY (path, sample_rate, seconds)) WITHOUT ROWID;
-- a digest of every row of the other tables; of sets, the explanation they are a part of
CREATE TABLE digests (digest INTEGER PRIMARY KEY, name TEXT NOT NULL, part INTEGER);
"""


#: of rows ``e`` with settings, model and clip, those whose model and clip are in the plan
PLANNED = (
    "JOIN planned_models pm ON pm.settings = e.settings AND pm.model = e.model"
    " JOIN planned_clips pc ON pc.settings = e.settings AND pc.clip = e.clip"
)


#: what brings a store of the version to the next one
MIGRATIONS = {
    1: """
ALTER TABLE subsets ADD COLUMN parent INTEGER REFERENCES subsets ON DELETE CASCADE;
CREATE TABLE results (
  settings TEXT NOT NULL, analysis TEXT NOT NULL, options TEXT NOT NULL, unit TEXT NOT NULL, rows TEXT NOT NULL,
  signal BLOB, PRIMARY KEY (settings, analysis, options, unit)) WITHOUT ROWID;
CREATE TABLE options (
  settings TEXT NOT NULL, analysis TEXT NOT NULL, key TEXT NOT NULL, options TEXT NOT NULL, used INTEGER NOT NULL,
  PRIMARY KEY (settings, analysis, key)) WITHOUT ROWID;
""",
    2: """
CREATE TABLE planned_models (
  settings TEXT NOT NULL, position INTEGER NOT NULL, model INTEGER NOT NULL, PRIMARY KEY (settings, position))
  WITHOUT ROWID;
CREATE TABLE planned_clips (
  settings TEXT NOT NULL, clip INTEGER NOT NULL, PRIMARY KEY (settings, clip)) WITHOUT ROWID;
CREATE TABLE files (
  path TEXT NOT NULL, sample_rate INTEGER NOT NULL, seconds REAL NOT NULL, bytes INTEGER NOT NULL,
  modified INTEGER NOT NULL, clip INTEGER NOT NULL, PRIMARY KEY (path, sample_rate, seconds)) WITHOUT ROWID;
INSERT INTO planned_models
  SELECT json_extract(s.value, '$'), m.key, m.value FROM meta s, meta i, json_each(i.value) m
  WHERE s.key = 'settings' AND i.key = 'models';
-- the oldest did not note them: those that answered
INSERT INTO planned_models
  SELECT settings, row_number() OVER (PARTITION BY settings ORDER BY model) - 1, model
  FROM (SELECT DISTINCT settings, model FROM originals) WHERE settings NOT IN (SELECT settings FROM planned_models);
INSERT INTO planned_clips SELECT DISTINCT settings, clip FROM originals;
""",
    # a column more in what makes a row unique: the table is made anew, rows keep their numbers
    3: """
CREATE TABLE subsets_4 (
  id INTEGER PRIMARY KEY, explanation INTEGER NOT NULL REFERENCES explanations ON DELETE CASCADE,
  kind TEXT NOT NULL, draw INTEGER NOT NULL, mask BLOB, size INTEGER, energy REAL, certificate TEXT,
  groups INTEGER, queries INTEGER, log_probabilities BLOB, why TEXT NOT NULL,
  parent INTEGER REFERENCES subsets ON DELETE CASCADE, options TEXT NOT NULL DEFAULT '',
  UNIQUE (explanation, kind, draw, options));
INSERT INTO subsets_4 SELECT id, explanation, kind, draw, mask, size, energy, certificate, groups, queries,
  log_probabilities, why, parent, '' FROM subsets;
DROP TABLE subsets;
ALTER TABLE subsets_4 RENAME TO subsets;
CREATE VIEW signals AS SELECT * FROM subsets
  WHERE options = '' OR options = (SELECT json_extract(value, '$') FROM meta WHERE key = 'robust');
""",
    # what there is is digested as it is
    4: """
ALTER TABLE explanations ADD COLUMN unsteady REAL NOT NULL DEFAULT 0;
CREATE TABLE digests (digest INTEGER PRIMARY KEY, name TEXT NOT NULL, part INTEGER);
""",
}
