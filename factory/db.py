"""Postgres: engine, transaction(), and the clock that every verb shares."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import (
    ARRAY,
    ClauseElement,
    ColumnElement,
    Connection,
    DateTime,
    Engine,
    any_,
    bindparam,
    create_engine,
    event,
    func,
    literal,
    text,
)
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql.compiler import SQLCompiler

from factory.errors import DatabaseDown

# A server that vanished without a word is noticed in half a minute, not in the kernel's quarter of an hour.
PATIENCE = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
# One slow statement must not hold rows for ever, and no transaction may stay open while something else is waited for.
GUARDS = "-c statement_timeout=60000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=30000"
# A connection that answered so lately is not asked first whether it still would: that is a way there and back for every transaction.
FRESH_SECONDS = 1.0
# Binds as the server counts them: psycopg looks through a long text for names each time.
DIALECT = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


class Database:
    """One database, many short transactions.

    `clock` replaces the server's clock in tests; without it only the database decides what time it is.
    """

    def __init__(self, url: str, *, clock: Callable[[], datetime] | None = None, pool_size: int = 5) -> None:
        self.clock = clock
        self.engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=10,
            pool_recycle=1800,
            hide_parameters=True,  # a statement in the log must not carry a prompt
            connect_args={"connect_timeout": 5, "options": GUARDS, **PATIENCE},
        )
        _ping_what_stood_idle(self.engine)
        self._each_alone = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    def now(self) -> ColumnElement[datetime]:
        """The time of the transaction, as an SQL expression (timestamptz)."""
        if self.clock is None:
            return func.now()
        return literal(self.clock(), DateTime(timezone=True))

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Commit on leaving, roll back on any error. Raises DatabaseDown when the server went away."""
        with _telling_when_down(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def run_alone(self, statement: Compiled, binds: Mapping[str, Any]) -> list[Any]:
        """Its rows, in a transaction of its own that is committed already: one way there and back instead of three. Raises as `transaction`,
        and KeyError where a value is missing."""
        moment = {"now": self.clock()} if self.clock else {}
        with _telling_when_down(), self._each_alone.connect() as connection:
            try:
                return statement.run(connection, {**binds, **moment})
            except OperationalError as fault:
                connection.invalidate(fault)
                raise

    def check(self) -> None:
        """Raises DatabaseDown unless a statement goes through."""
        with self.transaction() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        self.engine.dispose()


@contextmanager
def _telling_when_down() -> Iterator[None]:
    try:
        yield
    except DBAPIError as fault:
        if isinstance(fault, OperationalError | InterfaceError) or fault.connection_invalidated:
            raise DatabaseDown(f"the database did not answer: {type(fault.orig).__name__}") from fault
        raise


def _ping_what_stood_idle(engine: Engine) -> None:
    """As `pool_pre_ping`, but only after FRESH_SECONDS without use: a server that was started anew meanwhile costs a connection, no transaction."""

    @event.listens_for(engine, "checkin")
    def note(_: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping(connection: Any, record: Any, _: Any) -> None:
        if time.monotonic() - record.info.get("used", time.monotonic()) < FRESH_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error as fault:
            raise DisconnectionError from fault


def compiled_now(*, own_clock: bool) -> ColumnElement[datetime]:
    """As Database.now(), in a statement that is compiled once: with a clock of one's own a bind, which run_alone fills."""
    return bindparam("now", type_=DateTime(timezone=True)) if own_clock else func.now()


@dataclass(frozen=True)
class Compiled:
    """A statement built and compiled once, for what is asked for every picture: building it and finding its binds costs more than running it.

    `names` are the binds of $1, $2 and so on, `constants` the values that it came with.
    """

    sql: str
    names: Sequence[str]
    constants: Mapping[str, Any]

    @classmethod
    def of(cls, statement: ClauseElement) -> Compiled:
        compiled = statement.compile(dialect=DIALECT)
        names = compiled.positiontup or () if isinstance(compiled, SQLCompiler) else ()
        return cls(compiled.string, names, {name: value for name, value in compiled.params.items() if value is not None})

    def run(self, connection: Connection, binds: Mapping[str, Any]) -> list[Any]:
        """The rows, by the names of their columns. Values go to the driver as they are: JSON is text."""
        values = {**self.constants, **binds}
        driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
        with _as_sqlalchemy_says(self.sql), psycopg.RawCursor(driver, row_factory=namedtuple_row) as cursor:
            return cursor.execute(self.sql, [values[name] for name in self.names]).fetchall()


@contextmanager
def _as_sqlalchemy_says(statement: str) -> Iterator[None]:
    """Where the driver is asked directly its errors come unwrapped."""
    try:
        yield
    except psycopg.OperationalError as fault:
        raise OperationalError(statement, None, fault) from fault
    except psycopg.InterfaceError as fault:
        raise InterfaceError(statement, None, fault) from fault
    except psycopg.IntegrityError as fault:
        raise IntegrityError(statement, None, fault) from fault


def copy_rows(session: Session, table: str, columns: list[str], rows: Iterator[tuple[Any, ...]]) -> int:
    """Send rows by COPY inside the session's transaction; returns how many. Column types are taken from the table.

    Raises what SQLAlchemy would.
    """
    cursor = session.connection().connection.cursor()
    count = 0
    names = ", ".join(f'"{column}"' for column in columns)
    with _as_sqlalchemy_says("COPY"), cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count


def among(column: ColumnElement[Any] | InstrumentedAttribute[Any], items: Collection[Any]) -> ColumnElement[bool]:
    """`column` is one of `items`, of which there may be many: one parameter, an array.

    `in_` sends a parameter for each item, so each count of items is a statement of its own: the server parses and plans it anew,
    and psycopg has it keep whatever comes five times. A page of 500 keys took 4 MB each time, and 12 MB stayed with the connection.
    """
    return column == any_(literal(list(items), ARRAY(column.type)))


@lru_cache(maxsize=1024)
def text_array(items: tuple[str, ...]) -> str:
    """An array of texts as Postgres writes it."""
    quoted = (item.replace("\\", "\\\\").replace('"', '\\"') for item in items)
    return "{" + ",".join(f'"{item}"' for item in quoted) + "}"
