-- Keep the newest value of each signal of one vehicle, in one atomic step.
-- KEYS[1]: the vehicle's hash.
-- ARGV: signal, device time in milliseconds since the epoch, value as JSON; then the next signal.
-- A field holds "<device time>|<JSON>" and gives way only to a later device time, so late and repeated
-- records change nothing. Returns how many signals were written.
local signals = {}
for i = 1, #ARGV, 3 do
  signals[#signals + 1] = ARGV[i]
end
local stored = redis.call('HMGET', KEYS[1], unpack(signals))
local fresh = {}
for number = 1, #signals do
  local first = 3 * number - 2
  local newest = stored[number] and tonumber(string.match(stored[number], '^(%d+)|'))
  if not newest or tonumber(ARGV[first + 1]) > newest then
    fresh[#fresh + 1] = ARGV[first]
    fresh[#fresh + 1] = ARGV[first + 1] .. '|' .. ARGV[first + 2]
  end
end
if #fresh > 0 then
  redis.call('HSET', KEYS[1], unpack(fresh))
end
return #fresh / 2
