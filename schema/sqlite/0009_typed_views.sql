-- The daemon's memory of the views that it made from the sections [view NAME] of its configuration. The
-- views themselves follow the configuration, so they are no part of the schema.

CREATE TABLE typed_views (
    -- The daemon's memory: the views that it made from [view NAME] of its configuration. It replaces
    -- and removes these, and no others.
    name TEXT PRIMARY KEY COLLATE NOCASE, -- of the section, and of the view
    sql  TEXT NOT NULL -- of the view as the daemon made it; with another one it is somebody else's
) STRICT, WITHOUT ROWID;
