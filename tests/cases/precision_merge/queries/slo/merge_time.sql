-- name: merge_time
-- measures: the time that the slowest merge took
-- unit: s
-- reads: events(window_start, event, phase, seconds), windows(window_start)
-- params: $phase varchar
-- lookback: 0
-- returns: window_start timestamp, value double, samples bigint
-- worst: merges by seconds desc
with
    merges as (
        select window_start, seconds
        from events
        where event = 'merge.trace' and phase = $phase
    )

select
    windows.window_start,
    max(merges.seconds) as value,
    count(merges.seconds) as samples
from windows
left join merges using (window_start)
group by windows.window_start
order by windows.window_start
