"""A temporary database and role for the stack in the local Postgres.

While they are in use a lock of Postgres is held on their name. Postgres takes it back from a process that was killed, so that the
next stack can tell what nobody uses any more, and removes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT

PREFIX = "steel_installation_"
_LOCK = "SELECT pg_advisory_lock(hashtext(%s))"
_TRY_LOCK = "SELECT pg_try_advisory_lock(hashtext(%s))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtext(%s))"


@dataclass(frozen=True)
class Database:
    """A database that belongs to a role of the same name.

    Where Postgres is, and who may make databases there, comes from libpq's variables (PGHOST, PGPORT, PGUSER, …).
    """

    name: str
    password: str

    @property
    def host(self) -> str:
        """Host of Postgres for TCP clients."""
        host = os.environ.get("PGHOST", "")
        return host if host and not host.startswith("/") else "127.0.0.1"

    @property
    def port(self) -> str:
        """Of Postgres."""
        return os.environ.get("PGPORT", "5432")

    @contextmanager
    def made(self) -> Iterator[None]:
        """Creates role and database, and drops both at the end, with remaining connections.

        Removes first what other stacks left that did not come to their end.

        Raises:
            psycopg2.Error: Postgres does not answer, or this user may not.
        """
        with connected() as mine:
            self._remove_unused(mine)
            mine.execute(_LOCK, [self.name])
            name = sql.Identifier(self.name)
            mine.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(self.password)))
            mine.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))
            try:
                yield
            finally:
                with connected() as later:
                    _remove(later, self.name)

    @staticmethod
    def _remove_unused(cursor: Any) -> None:
        cursor.execute("SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", [PREFIX])
        for (name,) in cursor.fetchall():
            cursor.execute(_TRY_LOCK, [name])
            if cursor.fetchone()[0]:
                _remove(cursor, name)
                cursor.execute(_UNLOCK, [name])


def _remove(cursor: Any, name: str) -> None:
    cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    cursor.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


@contextmanager
def connected() -> Iterator[Any]:
    """Opens an autocommit session and returns its cursor."""
    connection = psycopg2.connect(dbname="postgres")
    try:
        connection.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()
