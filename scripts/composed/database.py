"""A database and a role of the stack's own in the Postgres of this machine, which are gone afterwards."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT


@dataclass(frozen=True)
class Database:
    """A database that belongs to a role of the same name.

    Where Postgres is, and who may make databases there, comes from libpq's variables (PGHOST, PGPORT, PGUSER, …).
    """

    name: str
    password: str

    @property
    def host(self) -> str:
        """Where a client finds Postgres over TCP."""
        host = os.environ.get("PGHOST", "")
        return host if host and not host.startswith("/") else "127.0.0.1"

    @property
    def port(self) -> str:
        """Of Postgres."""
        return os.environ.get("PGPORT", "5432")

    def make(self) -> None:
        """Makes role and database.

        Raises:
            psycopg2.Error: Postgres does not answer, or this user may not.
        """
        name = sql.Identifier(self.name)
        self._do(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(self.password)))
        self._do(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))

    def drop(self) -> None:
        """Removes both, with the connections that are left."""
        name = sql.Identifier(self.name)
        self._do(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        self._do(sql.SQL("DROP ROLE IF EXISTS {}").format(name))

    @staticmethod
    def _do(statement: sql.Composable) -> None:
        connection = psycopg2.connect(dbname="postgres")
        try:
            connection.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()
