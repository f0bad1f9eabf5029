-- name: history_drift
-- measures: mean number of history-drift events per window over the last hour
-- unit: events/window
-- reads: events(window_start, event, phase, ts, current_generation, index_generation, release), windows(window_start, has_batch)
-- params: $phase varchar, $window interval
-- lookback: 45 minutes
-- returns: window_start timestamp, value double, samples bigint
-- worst: drifts by ts
-- notes: the hour is the window and the three before it; a quiet hour with batches is 0, an hour without one has no value
with
    drifts as (
        select window_start, ts, current_generation, index_generation, release
        from events
        where event = 'autosave.history.drift' and phase = $phase
    ),

    drifts_per_window as (
        select windows.window_start, windows.has_batch, count(drifts.ts) as drifts
        from windows
        left join drifts using (window_start)
        group by windows.window_start, windows.has_batch
    )

select
    hour_end.window_start,
    sum(hour.drifts) / nullif(count(*) filter (where hour.has_batch), 0) as value,
    count(*) filter (where hour.has_batch) as samples
from drifts_per_window as hour_end
join drifts_per_window as hour
    on hour.window_start > hour_end.window_start - interval '1 hour'
    and hour.window_start <= hour_end.window_start
group by hour_end.window_start
order by hour_end.window_start
