"""Steps from one schema version to the next: MIGRATIONS[0] leads from version 1 to version 2.

A step is SQL that runs in one transaction together with the new version number. Steps are never
changed once released; schema.sql stays what version 1 was.
"""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = ()
