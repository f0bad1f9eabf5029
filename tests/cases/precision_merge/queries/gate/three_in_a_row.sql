-- name: three_in_a_row
-- measures: whether each of the newest windows meets every SLO
-- reads: windows(window_start), judgements(window_start, status)
-- params: $since timestamp, $batches integer
-- lookback: $batches windows
-- returns: criterion varchar, observed double, required double, passed boolean, since timestamp, reason varchar
with
    outcomes as (
        select windows.window_start, coalesce(bool_and(judgements.status in ('ok', 'warn')), false) as met
        from windows
        left join judgements using (window_start)
        where windows.window_start >= $since
        group by windows.window_start
    ),

    last_break as (
        select coalesce(max(window_start), timestamp '0001-01-01') as window_start
        from outcomes
        where not met
    )

select
    'consecutive_batches' as criterion,
    count(*)::double as observed,
    $batches::double as required,
    count(*) >= $batches as passed,
    min(outcomes.window_start) as since,
    null::varchar as reason
from outcomes
cross join last_break
where outcomes.window_start > last_break.window_start
