-- name: history_drift
-- measures: mean number of history-drift events per window over the last hour
-- unit: events/window
-- reads: events(window_start, event, phase, ts), windows(window_start, has_batch)
-- params: $phase varchar
-- lookback: 45 minutes
-- returns: window_start timestamp, value double, samples bigint
-- worst: drifts by ts
-- notes: the hour is the window and the three before it; a quiet hour with batches is 0, an hour without one has no value
with
    drifts as (
        select window_start, ts
        from events
        where event = 'autosave.history.drift' and phase = $phase
    )

select
    windows.window_start,
    count(drifts.ts) / nullif(count(distinct hour.window_start) filter (where hour.has_batch), 0) as value,
    count(distinct hour.window_start) filter (where hour.has_batch) as samples
from windows
join windows as hour
    on hour.window_start > windows.window_start - interval '1 hour'
    and hour.window_start <= windows.window_start
left join drifts on drifts.window_start = hour.window_start
group by windows.window_start
order by windows.window_start
