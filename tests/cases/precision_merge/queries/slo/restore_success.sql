-- name: restore_success
-- measures: restores that gave back what was saved, as a share of all
-- unit: share
-- reads: events(window_start, event, phase, restored), windows(window_start)
-- params: $phase varchar
-- lookback: 0
-- returns: window_start timestamp, value double, samples bigint
-- worst: restores by restored
-- counts: restores by restored
with
    restores as (
        select window_start, restored
        from events
        where event = 'restore.result' and phase = $phase
    )

select
    windows.window_start,
    count(*) filter (where restores.restored) / nullif(count(restores.restored), 0) as value,
    count(restores.restored) as samples
from windows
left join restores using (window_start)
group by windows.window_start
order by windows.window_start
