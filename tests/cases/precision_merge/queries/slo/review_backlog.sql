-- name: review_backlog
-- measures: merges that wait for a person, at most
-- unit: merges
-- reads: events(window_start, event, phase, pending), windows(window_start)
-- params: $phase varchar
-- lookback: 0
-- returns: window_start timestamp, value double, samples bigint
-- worst: merges by pending desc
with
    merges as (
        select window_start, pending
        from events
        where event = 'merge.trace' and phase = $phase
    )

select
    windows.window_start,
    max(merges.pending)::double as value,
    count(merges.pending) as samples
from windows
left join merges using (window_start)
group by windows.window_start
order by windows.window_start
