-- name: auto_merge_rate
-- measures: merges that needed nobody, as a share of all
-- unit: share
-- reads: events(window_start, event, phase, outcome), windows(window_start)
-- params: $phase varchar
-- lookback: 0
-- returns: window_start timestamp, value double, samples bigint
-- counts: merges by outcome
with
    merges as (
        select window_start, outcome
        from events
        where event = 'merge.trace' and phase = $phase
    )

select
    windows.window_start,
    count(*) filter (where merges.outcome = 'auto') / nullif(count(merges.outcome), 0) as value,
    count(merges.outcome) as samples
from windows
left join merges using (window_start)
group by windows.window_start
order by windows.window_start
