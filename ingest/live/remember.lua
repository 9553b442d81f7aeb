-- Keep what the alert rules know of one device in one vehicle, in one atomic step.
-- KEYS[1]: its key. ARGV: topic id, stream position (19 digits), state as JSON.
-- The value "<topic id>|<position>|<JSON>" gives way only to a later position of the same incarnation of the
-- topic, so that a live writer that was taken over cannot turn it back. Positions are compared as text: as
-- numbers they would lose digits. Returns 1 if it was written.
local stored = redis.call('GET', KEYS[1])
local head = ARGV[1] .. '|'
if stored and string.sub(stored, 1, #head) == head then
  if string.sub(stored, #head + 1, #head + #ARGV[2]) >= ARGV[2] then
    return 0
  end
end
redis.call('SET', KEYS[1], head .. ARGV[2] .. '|' .. ARGV[3])
return 1
