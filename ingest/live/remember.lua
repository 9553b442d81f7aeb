-- Keep what the alert rules know of some devices in vehicles, each in one atomic step.
-- KEYS: their keys.
-- ARGV: for each key the topic id, the stream position (19 digits) and the state as JSON.
-- The value "<topic id>|<position>|<JSON>" gives way only to a later position of the same incarnation of the
-- topic, so that a live writer that was taken over cannot turn it back. Positions are compared as text: as
-- numbers they would lose digits. Returns how many were written, and how many keys hold something else; those
-- are left alone.
local written, refused = 0, 0
for number = 1, #KEYS do
  local first = 3 * number - 2
  local position = ARGV[first + 1]
  local head = ARGV[first] .. '|'
  local stored = redis.pcall('GETRANGE', KEYS[number], 0, #head + #position - 1)
  if type(stored) == 'table' then
    refused = refused + 1
  elseif string.sub(stored, 1, #head) ~= head or string.sub(stored, #head + 1) < position then
    redis.call('SET', KEYS[number], head .. position .. '|' .. ARGV[first + 2])
    written = written + 1
  end
end
return {written, refused}
