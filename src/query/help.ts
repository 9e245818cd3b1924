/** What `query --help` prints. */
export const help = `Usage: targetvpc query [options]

Asks the running agent for stored series of any node it knows of.

  --node NAME         which nodes: name or cluster/name, or a pattern such as 'gpu-*'; 'all' for every known one;
                      repeated or with commas; default: the agent's own
  --index NAME        which series: cpu, disk{mount="/data"}, disk{*} for all of an index; repeated or with commas;
                      default: cpu,memory,disk
  --last DURATION     how far back, 30m, 24h or 7d, from --end; default 1h
  --start, --end TIME from and to: Unix seconds, RFC 3339 (without a zone: UTC), now, or -1h; default: now as the end
  --step DURATION     not every sample, but one value for each such time, 5m or 1h: less to read over long times
  --aggregate WHAT    what samples become together: avg (the default), min, max or last
  --format FORMAT     table (the default): a line a series, with the last, least, average and greatest value of all samples
                      (with --step: of what the steps became) and, on a terminal, their course as bars, · where there
                      was none; bars of percents go from 0 to 100, others from the least to the greatest
                      csv: a line a time, under node, timestamp (Unix seconds) and the series
                      json: a list of {node, timestamp, metrics}
  --url URL           the agent's address, http://host:8001; default: where the configuration lets it listen
  --config FILE       the agent's config file, for its address and the token of reads that are protected

Exit codes: 0 ok, 1 the agent did not answer, 2 wrong use, or the agent knows no such node or series.

  targetvpc query --index cpu,load1 --last 24h
  targetvpc query --node all --index 'disk{*}' --format csv > disks.csv
  targetvpc query --node node-7 --start -7d --step 1h --aggregate max --format json
`;
