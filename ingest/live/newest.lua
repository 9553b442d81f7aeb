-- Keep the newest value of each signal of some vehicles, each vehicle in one atomic step.
-- KEYS: the vehicles' hashes.
-- ARGV: how many signals there are; their names; then for each vehicle the device time of the oldest value that
-- is offered, and a value for each signal, "<device time in ms since the epoch>|<JSON>" or empty.
-- A field gives way only to a later device time, so late and repeated records change nothing.
-- Every record tells the signal `seen`: so no field is newer than that one, and where even the oldest value that
-- is offered is newer than it, the others need no look. Without it each field is compared.
-- Returns how many signals were written, and how many keys hold something else; those are left alone.
local count = tonumber(ARGV[1])
local names = {}
for i = 1, count do
  names[i] = ARGV[i + 1]
end
local function time_of(stored)
  return stored and tonumber(string.match(stored, '^(%d+)|'))
end
local written, refused = 0, 0
local at = count + 2
for number = 1, #KEYS do
  local key = KEYS[number]
  local seen = redis.pcall('HGET', key, 'seen')
  if type(seen) == 'table' then
    refused = refused + 1
  else
    local fresh, size = {}, 0
    local newest = time_of(seen)
    local stored
    if not newest or tonumber(ARGV[at]) <= newest then
      stored = redis.call('HMGET', key, unpack(names))
    end
    for i = 1, count do
      local value = ARGV[at + i]
      if value ~= '' then
        newest = stored and time_of(stored[i])
        if not newest or time_of(value) > newest then
          fresh[size + 1] = names[i]
          fresh[size + 2] = value
          size = size + 2
        end
      end
    end
    if size > 0 then
      redis.call('HSET', key, unpack(fresh))
      written = written + size / 2
    end
  end
  at = at + count + 1
end
return {written, refused}
