# Puts the documents of several shards of `slotbus-check simulate --json` together.
{
  properties: (map(.properties[]) | group_by(.name) | map(.[0] + {broken_by_seeds: (map(.broken_by_seeds[]) | sort)})),
  simulations: (map(.simulations[]) | sort_by(.seed))
}
