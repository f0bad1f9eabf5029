-- name: failure_rate
-- measures: failed saves as a share of all saves that ended, completed or failed
-- unit: %
-- reads: events(window_start, event, phase), windows(window_start)
-- params: $phase varchar
-- lookback: 0
-- returns: window_start timestamp, value double, samples bigint
-- worst: failures by ts
-- counts: failures by code, retryable
with
    saves as (
        select window_start, event
        from events
        where event in ('autosave.save.completed', 'autosave.save.error') and phase = $phase
    ),

    failures as (
        select window_start
        from saves
        where event = 'autosave.save.error'
    )

select
    windows.window_start,
    100 * (count(*) filter (where saves.event = 'autosave.save.error')) / nullif(count(saves.event), 0) as value,
    count(saves.event) as samples
from windows
left join saves using (window_start)
group by windows.window_start
order by windows.window_start
