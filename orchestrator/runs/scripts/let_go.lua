-- Put it back into the queue, or have it cancelled where somebody wants that. ARGV: fence, retention in seconds.
if owns(ARGV[1]) then
  if get('cancel_wanted') == '1' then
    cancelled(ARGV[2])
  else
    become('queued')
  end
end
return 1
