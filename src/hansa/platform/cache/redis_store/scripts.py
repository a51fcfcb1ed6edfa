"""What happens at a Redis in one step, in Lua.

What stands about a value is a line of nine fields (see `header`); the last two are the loan. A line of another form is
as good as none, and so is a key that holds something else than a string. Versions are compared as text, for Lua's
numbers end at 2^53.
"""

import hashlib
from dataclasses import dataclass, field

from hansa.platform.cache.redis_store.wire import pack

LONGEST_LOAN_US = 3_600_000_000
"""A loan that would go on for longer than that after one that begins now is damage."""
CAUSE_KEPT_MS = 60_000
"""How long it is remembered for what a key was dropped."""


@dataclass(frozen=True)
class Script:
    """Asked for by its hash; the text is sent where it is not known yet."""

    text: str
    hash: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest().encode())

    def by_hash(self, keys: list[bytes], arguments: list[bytes]) -> bytes:
        return pack(b"EVALSHA", self.hash, b"%d" % len(keys), *keys, *arguments)

    def by_text(self, keys: list[bytes], arguments: list[bytes]) -> bytes:
        return pack(b"EVAL", self.text.encode(), b"%d" % len(keys), *keys, *arguments)


LEND = Script(f"""
local line = redis.pcall('GET', KEYS[1])
local entry, token, lent_until
if type(line) == 'string' then
    entry, token, lent_until = string.match(line, '^(1 %d+ %d+ %d+ %d+ [01] %S+) (%d+) (%d+)$')
end
if entry and token ~= '0' and tonumber(lent_until) > tonumber(ARGV[1])
        and tonumber(lent_until) <= tonumber(ARGV[3]) + {LONGEST_LOAN_US} then
    return 0
end
local keep_ms = tonumber(ARGV[4])
if entry then
    keep_ms = math.max(keep_ms, redis.call('PTTL', KEYS[1]))
else
    entry = '1 0 0 0 0 0 -'
end
redis.call('SET', KEYS[1], entry .. ' ' .. ARGV[2] .. ' ' .. ARGV[3], 'PX', string.format('%d', keep_ms))
return 1
""")
"""Keys: the line. Arguments: now, a token, until when (microseconds), for how long (milliseconds)."""

PUT = Script("""
local line = redis.pcall('GET', KEYS[2])
if type(line) ~= 'string' then
    return 0
end
local fields, version, checksum, token = string.match(line, '^(1 (%d+) %d+ %d+ %d+ [01] (%S+)) (%d+) %d+$')
if token ~= ARGV[1] or token == '0' then
    return 0
end
if checksum ~= '-' and redis.call('EXISTS', KEYS[1]) == 1
        and (#version > #ARGV[2] or (#version == #ARGV[2] and version > ARGV[2])) then
    redis.call('SET', KEYS[2], fields .. ' 0 0', 'KEEPTTL')
    return 0
end
redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5])
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[5])
return 1
""")
"""Keys: the value, the line. Arguments: the token, the version, the line and the value that are new, and for how long
(milliseconds)."""

GIVE_BACK = Script("""
local line = redis.pcall('GET', KEYS[1])
if type(line) ~= 'string' then
    return 0
end
local fields, checksum, token = string.match(line, '^(1 %d+ %d+ %d+ %d+ [01] (%S+)) (%d+) %d+$')
if token ~= ARGV[1] or token == '0' then
    return 0
end
if checksum == '-' then
    redis.call('DEL', KEYS[1])
else
    redis.call('SET', KEYS[1], fields .. ' 0 0', 'KEEPTTL')
end
return 1
""")
"""Keys: the line. Arguments: the token."""

DROP = Script(f"""
local dropped = {{}}
for at = 1, #KEYS, 3 do
    if ARGV[3] == '' or redis.pcall('GET', KEYS[at + 2]) ~= ARGV[3] then
        redis.call('DEL', KEYS[at], KEYS[at + 1])
        dropped[#dropped + 1] = at
    end
end
if #dropped > 0 then
    local keys = {{}}
    for number, at in ipairs(dropped) do
        keys[number] = string.sub(KEYS[at], ARGV[2] + 1)
    end
    redis.call('PUBLISH', ARGV[1], table.concat(keys, ' '))
    if ARGV[3] ~= '' then
        for _, at in ipairs(dropped) do
            redis.pcall('SET', KEYS[at + 2], ARGV[3], 'PX', {CAUSE_KEPT_MS})
        end
    end
end
return #dropped
""")
"""Keys, by threes: a value, its line, and the cause for which both were dropped. Arguments: the channel, how long the
prefix of values is, and the cause. The cause is written last, for dropping must not fail where memory is full."""
