"""
What a disk can hold after the power failed, computed from the journal of powerloss_shim.c.

The model is harsher than most file systems, and never kinder:
- What was synced (fsync or fdatasync of the file) is there.
- A sync that failed drops what was dirty: nothing of it reaches the disk any more, though programs go
  on reading it from memory, and the next sync succeeds. Only what is written again after it counts.
- Of every write and truncation since then, any part may be there: nothing, all, the first ones,
  some, or some of their sectors (512 or 4096 bytes), so that later writes survive without earlier
  ones. A file may have grown and hold zeros, or rubbish, where its new bytes should be.
- A name that was made, removed or renamed is as it was at the last fsync of the directory, or as
  any later change made it, each name by itself.

A cut comes after record p of the journal, and while the call of record p + 1 is under way: just
before the shim has taken the time of its return. Until then no thread of the program can know that
the call has ended, so nothing may have been built upon it, and a disk that has not yet begun it is
a disk that the power may leave behind. So every acknowledgement that the broker had received before
that time must be covered by the records up to p.
"""

import struct

OPEN, WRITE, TRUNCATE, SYNC, SYNC_DIRECTORY, UNLINK, RENAME, SYNC_FAILED = range(1, 9)
KINDS = ("", "open", "write", "truncate", "sync", "sync-directory", "unlink", "rename", "sync-failed")
MADE, EMPTIED = 1, 2
HEADER = struct.Struct("=IiQQQIIII")

KEEP_NOTHING, KEEP_ALL, KEEP_FIRST, KEEP_SOME, KEEP_SECTORS, KEEP_PAGES = range(6)


class Record:
    __slots__ = ("kind", "fd", "begin_ns", "end_ns", "offset", "flags", "payload")
    # fd: (pid, number of the descriptor)

    def __init__(self, fields, payload):
        (self.kind, fd, self.begin_ns, self.end_ns, self.offset, _, self.flags, pid, _) = fields
        self.fd = pid, fd
        self.payload = payload

    @property
    def name(self):
        return self.payload.decode()

    def __repr__(self):
        what = self.name if self.kind in (OPEN, UNLINK, RENAME) else f"fd {self.fd}"
        return f"{KINDS[self.kind]} {what!r} at {self.offset} ({len(self.payload)} bytes)"


def read_journal(path):
    """All whole records; what the death of the process has left of one more is dropped."""
    data = memoryview(path.read_bytes()) if path.exists() else memoryview(b"")
    records = []
    at = 0
    while at + HEADER.size <= len(data):
        fields = HEADER.unpack_from(data, at)
        end = at + HEADER.size + fields[5]
        if end > len(data):
            break
        records.append(Record(fields, bytes(data[at + HEADER.size:end])))
        at = end
    return records


def pieces(offset, data, size):
    """A write as the disk does it: (offset, bytes) of each sector it touches."""
    at = 0
    while at < len(data):
        length = min(size - (offset + at) % size, len(data) - at)
        yield offset + at, data[at:at + length]
        at += length


def put(content, offset, data):
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset:offset + len(data)] = data


def cut_to(content, size):
    if size < len(content):
        del content[size:]
    else:
        content.extend(bytes(size - len(content)))


class Inode:
    """A file: what is safely on the disk, what was done since then, and what programs see."""

    def __init__(self, content=b""):
        self.synced = bytearray(content)
        self.cache = bytearray(content)
        self.pending = []   # (offset, bytes), or (size, None) for a truncation

    def write(self, offset, data):
        self.pending.append((offset, data))
        put(self.cache, offset, data)

    def truncate(self, size):
        self.pending.append((size, None))
        cut_to(self.cache, size)

    def sync(self):
        self._apply_all(self.synced)
        self.pending = []

    def sync_failed(self):
        """Mark the dirty pages clean although they are not on the disk: only a new write brings them there."""
        self.pending = [(offset, data) for offset, data in self.pending if data is None]

    def live(self):
        return self.cache

    def _apply_all(self, content):
        for offset, data in self.pending:
            if data is None:
                cut_to(content, offset)
            else:
                put(content, offset, data)

    def after_cut(self, rng, keep):
        """The file's content after the power loss. keep: one of KEEP_."""
        content = bytearray(self.synced)
        if not self.pending or keep == KEEP_NOTHING:
            return content
        share = rng.random()
        first = rng.randrange(len(self.pending) + 1)
        for i, (offset, data) in enumerate(self.pending):
            if keep == KEEP_ALL or (keep == KEEP_FIRST and i < first):
                share_here = 1.0
            else:
                share_here = 0.0 if keep == KEEP_FIRST else share
            self._keep_one(content, rng, keep, share_here, offset, data)
        self._grow(content, rng, keep)
        return content

    @staticmethod
    def _keep_one(content, rng, keep, share, offset, data):
        if data is None:
            if rng.random() < share:
                cut_to(content, offset)
        elif keep in (KEEP_SECTORS, KEEP_PAGES):
            for at, piece in pieces(offset, data, 512 if keep == KEEP_SECTORS else 4096):
                if rng.random() < share:
                    put(content, at, piece)
        elif rng.random() < share:
            put(content, offset, data)

    def _grow(self, content, rng, keep):
        """The new length may be on the disk while the bytes are not."""
        end = max((o + len(d) for o, d in self.pending if d is not None), default=0)
        if keep == KEEP_ALL or end <= len(content) or rng.random() < 0.7:
            return
        missing = end - len(content)
        content.extend(bytes(missing) if rng.random() < 0.5 else rng.randbytes(missing))


class Disk:
    """The directory, record by record."""

    def __init__(self, files=None):
        """files: name -> bytes, safely on the disk."""
        self.names = {name: Inode(data) for name, data in (files or {}).items()}
        self.synced_names = dict(self.names)
        self.pending_names = []     # (name, Inode or None)
        self.descriptors = {}

    def apply(self, record):
        getattr(self, f"_{KINDS[record.kind].replace('-', '_')}")(record)

    def _set_name(self, name, inode):
        if inode is None:
            self.names.pop(name, None)
        else:
            self.names[name] = inode
        self.pending_names.append((name, inode))

    def _open(self, record):
        if record.name not in self.names:
            # The scene looks into the database while the daemon starts: its SQLite may be the one that
            # makes the WAL, empty.
            assert record.flags & MADE or record.name.endswith("-wal"), (
                f"{record.name}: opened, and nobody has made it")
            self._set_name(record.name, Inode())
        inode = self.descriptors[record.fd] = self.names[record.name]
        if record.flags & EMPTIED:
            inode.truncate(0)

    def _write(self, record):
        self.descriptors[record.fd].write(record.offset, record.payload)

    def _truncate(self, record):
        self.descriptors[record.fd].truncate(record.offset)

    def _sync(self, record):
        self.descriptors[record.fd].sync()

    def _sync_failed(self, record):
        self.descriptors[record.fd].sync_failed()

    def _sync_directory(self, _record):
        self.synced_names = dict(self.names)
        self.pending_names = []

    def _unlink(self, record):
        self._set_name(record.name, None)

    def _rename(self, record):
        old, new = record.name.split("\0")
        self._set_name(new, self.names[old])
        self._set_name(old, None)

    def live(self):
        """name -> bytes, as the program sees it."""
        return {name: inode.live() for name, inode in self.names.items()}

    def after_cut(self, rng, kind=None):
        """(name -> bytes as the machine finds it after the cut, what was kept as text)."""
        names = dict(self.synced_names)
        how = kind if kind is not None else rng.choice((KEEP_NOTHING, KEEP_ALL, KEEP_FIRST, KEEP_SOME))
        first = rng.randrange(len(self.pending_names) + 1)
        for i, (name, inode) in enumerate(self.pending_names):
            if how == KEEP_ALL or (how == KEEP_FIRST and i < first) or (
                    how == KEEP_SOME and rng.random() < 0.5):
                names[name] = inode
        contents = {}
        told = [f"names {how}"]
        for name, inode in names.items():
            if inode is not None:
                keep = kind if kind is not None else rng.randrange(6)
                told.append(f"{name} {keep}")
                contents[name] = bytes(inode.after_cut(rng, keep))
        return contents, ", ".join(told)
