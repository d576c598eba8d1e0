"""The event log in Lua: each script is one step, whoever else writes.

Of a thread there are ``events``, a stream whose ids are the numbers, and ``log``, a hash of what is
known: ``epoch`` and ``seq`` of the newest, ``life`` of the server that wrote it, ``prior`` and
``prior_seq`` of the epoch before, and for each writer ``by:<writer>``, its last batch. ``once`` is a
sorted set, by number, of what a thread may have only once (``ThreadEvent.once``).
"""

from app.stores.redis.client import Script

# A server that was restarted may have lost events that were seen. So its new life begins a new epoch,
# while the numbers go on, and the epoch before stays good up to what is there.
_KNOWN = """
local function known(key, writer, new_epoch)
  local found = redis.call('HMGET', key, 'epoch', 'seq', 'life', 'prior', 'prior_seq', 'by:' .. writer)
  local log = {
    epoch = found[1], seq = tonumber(found[2] or '0'), life = found[3],
    prior = found[4] or '', prior_seq = tonumber(found[5] or '0'), batch = tonumber(found[6] or '0'),
  }
  if not log.epoch then
    log.epoch = new_epoch
    redis.call('HSET', key, 'epoch', log.epoch, 'life', LIFE)
  elseif log.life ~= LIFE then
    log.prior, log.prior_seq, log.epoch = log.epoch, log.seq, new_epoch
    redis.call('HSET', key, 'prior', log.prior, 'prior_seq', log.prior_seq, 'epoch', log.epoch, 'life', LIFE)
  end
  return log
end

local function drop_old(key, before)
  for _ = 1, 8 do
    local oldest = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
    if not oldest then return nil end
    if tonumber(oldest[2][2]) >= before then return tonumber(string.match(oldest[1], '^%d+')) end
    redis.call('XDEL', key, oldest[1])
  end
  local oldest = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
  return oldest and tonumber(string.match(oldest[1], '^%d+'))
end
"""

APPEND = Script(
    _KNOWN
    + """
-- KEYS: events, log, once, memory of the lane. ARGV: writer, number of the batch, token or '', newest events kept,
-- how long in milliseconds, now, an epoch if one is needed, the channel, what names the batch where the thread may
-- have it only once or '', how many names are kept, then the JSON of each event.
-- A batch is known where it was taken before; where a later one was taken, because then it was given up; and where
-- another of its name was. The memory of the lane says who took it last: a lane that ran out while nobody else wanted
-- it is still the writer's. Returns what came of it and, where the batch was taken, the epoch and the newest number.
local token, kept, kept_ms, once = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[9]
local log = known(KEYS[2], ARGV[1], ARGV[7])
if log.batch >= tonumber(ARGV[2]) then return {'known'} end
if token ~= '' and redis.call('GET', KEYS[4]) ~= token then return {'fenced'} end
if once ~= '' and redis.call('ZSCORE', KEYS[3], once) then return {'known'} end
local said = {log.epoch, log.seq + 1}
for index = 11, #ARGV do
  log.seq = log.seq + 1
  redis.call('XADD', KEYS[1], 'MAXLEN', kept, log.seq .. '-0', 't', ARGV[6], 'e', ARGV[index])
  said[#said + 1] = ARGV[index]
end
redis.call('HSET', KEYS[2], 'seq', log.seq, 'by:' .. ARGV[1], ARGV[2])
if once ~= '' then
  redis.call('ZADD', KEYS[3], log.seq, once)
  redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - tonumber(ARGV[10]))
  redis.call('PEXPIRE', KEYS[3], 2 * kept_ms)
end
drop_old(KEYS[1], tonumber(ARGV[6]) - kept_ms)
redis.call('PEXPIRE', KEYS[1], kept_ms)
redis.call('PEXPIRE', KEYS[2], 2 * kept_ms)
redis.call('PUBLISH', ARGV[8], table.concat(said, '\\n'))
return {'taken', log.epoch, log.seq}
"""
)

POSITION = Script(
    _KNOWN
    + """
-- KEYS: events, log. ARGV: an epoch if one is needed, how long events are kept in milliseconds, now.
local log = known(KEYS[2], '', ARGV[1])
local first = drop_old(KEYS[1], tonumber(ARGV[3]) - tonumber(ARGV[2]))
redis.call('PEXPIRE', KEYS[2], 2 * tonumber(ARGV[2]))
return {log.epoch, log.seq, first or log.seq + 1, log.prior, log.prior_seq}
"""
)

READ = Script("""
-- KEYS: events, log. ARGV: epoch, the first number, how many.
if redis.call('HGET', KEYS[2], 'epoch') ~= ARGV[1] then return {} end
return redis.call('XRANGE', KEYS[1], ARGV[2] .. '-0', '+', 'COUNT', ARGV[3])
""")

FORGET = Script("""
-- KEYS: events, log, once. ARGV: the channel.
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call('PUBLISH', ARGV[1], '\\n0')
return 1
""")
