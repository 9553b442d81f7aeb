-- Move the offsets of the live state, all or none, in one atomic step.
-- KEYS[1]: the hash of offsets.
-- ARGV: field, what has to stand there ('' for nothing), what to write ('' leaves it); then the next field.
-- Returns 1, or 0 where something else stands there: this Redis lost its last writes, or another live writer
-- took over.
local fresh = {}
for i = 1, #ARGV, 3 do
  local stored = redis.call('HGET', KEYS[1], ARGV[i]) or ''
  if stored ~= ARGV[i + 1] then
    return 0
  end
  if ARGV[i + 2] ~= '' then
    fresh[#fresh + 1] = ARGV[i]
    fresh[#fresh + 1] = ARGV[i + 2]
  end
end
if #fresh > 0 then
  redis.call('HSET', KEYS[1], unpack(fresh))
end
return 1
