-- name: save_latency_p95
-- measures: 95th percentile of the time a completed save took
-- unit: s
-- reads: events(window_start, event, phase, duration_ms), windows(window_start)
-- params: $phase varchar
-- lookback: 0
-- returns: window_start timestamp, value double, samples bigint
-- worst: saves by duration_ms desc
with
    saves as (
        select window_start, duration_ms
        from events
        where event = 'autosave.save.completed' and phase = $phase
    )

select
    windows.window_start,
    quantile_cont(saves.duration_ms, 0.95) / 1000 as value,
    count(saves.duration_ms) as samples
from windows
left join saves using (window_start)
group by windows.window_start
order by windows.window_start
