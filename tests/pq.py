"""
Queries to PostgreSQL by libpq itself, through ctypes: no package of Python is needed, and a question takes a fraction
of a millisecond, where psql would have to start. Connection.execute() is that of sqlite3, as far as the tests use it:
`?` for parameters, and rows as tuples of int, float, str, bytes, bool and None. Every statement is a transaction.
"""

import ctypes
import ctypes.util
import threading

POINTER, TEXT, INT = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
NOTICE = ctypes.CFUNCTYPE(None, POINTER, TEXT)

FUNCTIONS = {
    "PQconnectdb": (POINTER, TEXT), "PQstatus": (INT, POINTER), "PQerrorMessage": (TEXT, POINTER),
    "PQfinish": (None, POINTER), "PQresultStatus": (INT, POINTER), "PQresultErrorMessage": (TEXT, POINTER),
    "PQresultErrorField": (TEXT, POINTER, INT),
    "PQntuples": (INT, POINTER), "PQnfields": (INT, POINTER), "PQftype": (ctypes.c_uint, POINTER, INT),
    "PQfname": (TEXT, POINTER, INT), "PQgetvalue": (POINTER, POINTER, INT, INT),
    "PQgetlength": (INT, POINTER, INT, INT), "PQgetisnull": (INT, POINTER, INT, INT), "PQclear": (None, POINTER),
    "PQexecParams": (POINTER, POINTER, TEXT, INT, POINTER, POINTER, POINTER, POINTER, INT),
    "PQsetNoticeProcessor": (POINTER, POINTER, NOTICE, POINTER), "PQbackendPID": (INT, POINTER),
}
COMMAND_OK, TUPLES_OK = 1, 2


def _bool(text):
    return text == b"t"


def _bytea(text):
    return bytes.fromhex(text[2:].decode())


def _numeric(text):
    return float(text) if b"." in text else int(text)


READ = {16: _bool, 17: _bytea, 20: int, 21: int, 23: int, 26: int, 700: float, 701: float, 1700: _numeric}
"""Type -> the value of its text: boolean, bytea, bigint, smallint, integer, oid, real, double precision, numeric."""


class Error(Exception):
    """The server's answer, or that there is none."""


class Lost(Error):
    """There is no connection, or no more."""


_library = None
_lock = threading.Lock()


def library():
    """libpq, loaded once."""
    global _library  # pylint: disable=global-statement
    with _lock:
        if _library is None:
            found = ctypes.CDLL("libpq.so.5")
            for name, (result, *arguments) in FUNCTIONS.items():
                function = getattr(found, name)
                function.restype, function.argtypes = result, arguments
            _library = found
    return _library


def _ignore(_context, _text):
    pass


_IGNORE = NOTICE(_ignore)   # kept: libpq calls it as long as there is a connection


class Rows(list):
    """The answer of a statement, with the names of its columns."""

    def __init__(self, rows, names):
        super().__init__(rows)
        self.names = names

    def fetchone(self):
        return self.pop(0) if self else None

    def fetchall(self):
        return list(self)


class Connection:
    """One connection of libpq, for one thread at a time."""

    def __init__(self, conninfo):
        self._pq = library()
        self._handle = self._pq.PQconnectdb(conninfo.encode())
        if self._pq.PQstatus(self._handle) != 0:
            text = self._error()
            self.close()
            raise Lost(text)
        self._pq.PQsetNoticeProcessor(self._handle, _IGNORE, None)
        self.pid = self._pq.PQbackendPID(self._handle)

    def _error(self):
        return (self._pq.PQerrorMessage(self._handle) or b"").decode(errors="replace").strip()

    def close(self):
        if self._handle:
            self._pq.PQfinish(self._handle)
            self._handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def execute(self, sql, parameters=()):
        """Run one statement. Raises Lost when the connection is gone, Error when the server refuses."""
        pieces = sql.split("?") if parameters else [sql]
        numbered = pieces[0] + "".join(f"${i}{piece}" for i, piece in enumerate(pieces[1:], 1))
        texts = [_written(one) for one in parameters]
        values = (TEXT * max(1, len(texts)))(*texts)
        result = self._pq.PQexecParams(self._handle, numbered.encode(), len(texts), None, values, None, None, 0)
        try:
            if self._pq.PQresultStatus(result) not in (COMMAND_OK, TUPLES_OK):
                text = (self._pq.PQresultErrorMessage(result) or b"").decode(errors="replace").strip()
                # libpq's own errors have no SQLSTATE; class 57 is a server that stops or starts.
                state = self._pq.PQresultErrorField(result, ord("C")) or b"08000"
                raise (Lost if state[:2] in (b"08", b"57") else Error)(text or self._error())
            return self._rows(result)
        finally:
            self._pq.PQclear(result)

    def _rows(self, result):
        pq, columns = self._pq, range(self._pq.PQnfields(result))
        readers = [READ.get(pq.PQftype(result, column)) for column in columns]
        rows = [tuple(self._value(result, row, column, readers[column]) for column in columns)
                for row in range(pq.PQntuples(result))]
        return Rows(rows, [pq.PQfname(result, column).decode() for column in columns])

    def _value(self, result, row, column, reader):
        if self._pq.PQgetisnull(result, row, column):
            return None
        text = ctypes.string_at(self._pq.PQgetvalue(result, row, column), self._pq.PQgetlength(result, row, column))
        return reader(text) if reader else text.decode()


def _written(one):
    """A parameter as the text that the server reads."""
    if one is None:
        return None
    if isinstance(one, bytes):
        return b"\\x" + one.hex().encode()
    return str(one).encode()
