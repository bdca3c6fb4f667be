-- One row: how the pieces are sealed, and the embedder.
CREATE TABLE gallery (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    encrypted INTEGER NOT NULL,
    salt BLOB NOT NULL,
    sealed BLOB NOT NULL
);
-- The name is a hash, keyed if the gallery is encrypted.
CREATE TABLE person (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name BLOB NOT NULL UNIQUE,
    sealed BLOB NOT NULL
);
-- Role 0 is enrolled, 1 rejected.
CREATE TABLE template (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    person INTEGER NOT NULL,
    role INTEGER NOT NULL,
    vector BLOB NOT NULL,
    origin BLOB NOT NULL
);
CREATE INDEX template_of_person ON template (person, role);
CREATE TABLE note (
    name BLOB PRIMARY KEY,
    sealed BLOB NOT NULL
);
-- The numbers of templates erased lately: by these, other processes learn what to forget.
CREATE TABLE erased (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    template INTEGER NOT NULL
);
-- The search index: part 0 says what it is, the others are its bytes.
CREATE TABLE part (
    number INTEGER PRIMARY KEY,
    sealed BLOB NOT NULL
);
-- In which row of the search index a template is.
CREATE TABLE place (
    template INTEGER PRIMARY KEY,
    row INTEGER NOT NULL
);
