-- name: consecutive_batches
-- measures: how many windows in a row, up to the newest, meet every SLO
-- reads: windows(window_start), judgements(window_start, slo, status)
-- params: $since timestamp, $until timestamp, $batches integer
-- lookback: $batches windows
-- returns: criterion varchar, observed double, required double, passed boolean, since timestamp, reason varchar
-- notes: a window without a judgement is not met; so is a missing batch
with
    outcomes as (
        select
            windows.window_start,
            coalesce(bool_and(judgements.status in ('ok', 'warn')), false) as met,
            min(judgements.slo || ' ' || judgements.status)
                filter (where judgements.status not in ('ok', 'warn')) as cause
        from windows
        left join judgements using (window_start)
        where windows.window_start >= $since and windows.window_start < $until
        group by windows.window_start
    ),

    last_break as (
        select max(window_start) as window_start, max_by(cause, window_start) as cause
        from outcomes
        where not met
    ),

    streak as (
        select count(outcomes.window_start) as met_windows, min(outcomes.window_start) as since
        from outcomes
        cross join last_break
        where outcomes.window_start > coalesce(last_break.window_start, timestamp '0001-01-01')
    )

select
    'consecutive_batches' as criterion,
    streak.met_windows::double as observed,
    $batches::double as required,
    streak.met_windows >= $batches as passed,
    streak.since,
    'last break ' || strftime(last_break.window_start, '%Y-%m-%dT%H:%M:%SZ')
        || ' (' || coalesce(last_break.cause, 'not judged') || ')' as reason
from streak
cross join last_break
