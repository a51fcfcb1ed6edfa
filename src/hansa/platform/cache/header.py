"""What stands about a value in a store: one line of ASCII, which other programs can read, too.

    1 version made_at fresh_until good_until absent checksum token lent_until

All are decimal numbers. The first is the format. The checksum is the CRC-32 of the value; it is `-` where there is no
value, as while a key is filled for the first time. The token is that of who may fill the key until `lent_until`
(microseconds since 1970); both are 0 while nobody may.
"""

from zlib import crc32

import msgspec

from hansa.platform.cache.port import LARGEST_VALUE, Entry

FORMAT = b"1"
_FIELDS = 9
_LONGEST = 200


class About(msgspec.Struct, frozen=True, kw_only=True):
    """The line, read. Without a checksum there is no value."""

    version: int = 0
    made_at: int = 0
    fresh_until: int = 0
    good_until: int = 0
    is_absent: bool = False
    checksum: int | None = None
    token: int = 0
    lent_until: int = 0

    def entry(self, value: bytes | None) -> Entry | None:
        """The entry with this value, unless it is damaged or there is none."""
        if value is None or self.checksum is None or len(value) > LARGEST_VALUE or crc32(value) != self.checksum:
            return None
        return Entry(
            value=value,
            version=self.version,
            made_at=self.made_at,
            fresh_until=self.fresh_until,
            good_until=self.good_until,
            is_absent=self.is_absent,
        )


def about(entry: Entry) -> About:
    """Of an entry that nobody fills anew."""
    return About(
        version=entry.version,
        made_at=entry.made_at,
        fresh_until=entry.fresh_until,
        good_until=entry.good_until,
        is_absent=entry.is_absent,
        checksum=crc32(entry.value),
    )


def write(line: About) -> bytes:
    checksum = "-" if line.checksum is None else line.checksum
    return (
        f"{FORMAT.decode()} {line.version} {line.made_at} {line.fresh_until} {line.good_until} {int(line.is_absent)} "
        f"{checksum} {line.token} {line.lent_until}"
    ).encode()


def read(line: bytes | None) -> About | None:
    """None if there is no line, or none of this format."""
    if line is None or len(line) > _LONGEST:
        return None
    fields = line.split(b" ")
    if len(fields) != _FIELDS or fields[0] != FORMAT:
        return None
    try:
        version, made_at, fresh_until, good_until, absent = map(int, fields[1:6])
        return About(
            version=version,
            made_at=made_at,
            fresh_until=fresh_until,
            good_until=good_until,
            is_absent=absent != 0,
            checksum=None if fields[6] == b"-" else int(fields[6]),
            token=int(fields[7]),
            lent_until=int(fields[8]),
        )
    except ValueError:
        return None
