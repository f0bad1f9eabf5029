-- name: continuous_without_incident
-- measures: how long every SLO has been met without a break, and the incident notices of that time
-- reads: windows(window_start, window_end), judgements(window_start, slo, status), ledger(at, kind, data)
-- params: $since timestamp, $until timestamp, $hours integer, $max_incident_notices integer
-- lookback: $hours hours
-- returns: criterion varchar, observed double, required double, passed boolean, since timestamp, reason varchar
-- notes: observed and required are windows for the streak, notices for the notices
with
    outcomes as (
        select
            windows.window_start,
            windows.window_end - windows.window_start as length,
            coalesce(bool_and(judgements.status in ('ok', 'warn')), false) as met,
            min(judgements.slo || ' ' || judgements.status)
                filter (where judgements.status not in ('ok', 'warn')) as cause
        from windows
        left join judgements using (window_start)
        where windows.window_start >= $since and windows.window_start < $until
        group by windows.window_start, windows.window_end
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
    ),

    needed as (
        select ceil($hours * 3600 / epoch(max(length))) as windows
        from outcomes
    ),

    incidents as (
        select count(*) as notices, min(ledger.at) as since
        from ledger
        where kind = 'notice'
            and data ->> 'outcome' = 'violation'
            and ledger.at >= $until - $hours * interval '1 hour'
    )

select
    'continuous_compliance' as criterion,
    streak.met_windows::double as observed,
    needed.windows::double as required,
    coalesce(streak.met_windows >= needed.windows, false) as passed,
    streak.since,
    'last break ' || strftime(last_break.window_start, '%Y-%m-%dT%H:%M:%SZ')
        || ' (' || coalesce(last_break.cause, 'not judged') || ')' as reason
from streak
cross join last_break
cross join needed

union all

select
    'incident_notices',
    incidents.notices::double,
    $max_incident_notices::double,
    incidents.notices <= $max_incident_notices,
    incidents.since,
    'in the last ' || $hours || ' h'
from incidents
