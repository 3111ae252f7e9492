-- drop: removes what is left of attempts that somebody else ended (stock RQ's cancel or delete), and
-- says what that left unsaid: the stream's end, the record, the time to live.
-- KEYS: none (keys are built from ids and names)
-- ARGV: 1 worker name, then id, execution id …
-- Returns nothing.
-- Atomic with the look at the lease: what is another attempt's by now is left to it.

complete(function()
  for i = 2, #ARGV, 2 do drop_attempt(ARGV[i], ARGV[i + 1], ARGV[1]) end
end)
