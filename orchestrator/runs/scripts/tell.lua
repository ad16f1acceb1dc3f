-- Add an event. ARGV: fence, type, data. Answers 0 where the run is not owned.
if not owns(ARGV[1]) then
  return 0
end
tell(ARGV[2], ARGV[3])
return 1
