-- name: collector_latency
-- measures: the time from a window's end until its batch was sealed, the largest of the window
-- unit: s
-- reads: events(window_start, event, phase, latency_ms), windows(window_start)
-- params: $phase varchar
-- lookback: 0
-- returns: window_start timestamp, value double, samples bigint
-- worst: seals by latency_ms desc
with
    seals as (
        select window_start, latency_ms
        from events
        where event = 'collector.latency' and phase = $phase
    )

select
    windows.window_start,
    max(seals.latency_ms) / 1000 as value,
    count(seals.latency_ms) as samples
from windows
left join seals using (window_start)
group by windows.window_start
order by windows.window_start
