-- The function as views.sql made it first.
CREATE OR REPLACE FUNCTION coverage_gaps(wanted_symbol text, wanted_timeframe text, days integer)
RETURNS TABLE (provider text, adjustment text, hours text, anchor text, series_id integer,
               gap_start timestamptz, gap_end timestamptz, sessions bigint, kind text)
LANGUAGE sql STABLE AS $$
WITH wanted AS (
    SELECT s.id, s.provider, s.adjustment, s.hours, s.anchor, s.timeframe,
           i.venue, s.timeframe IN ('1d', '1w', '1mo') AS whole,
           greatest((now() AT TIME ZONE 'UTC')::date - days, i.listed_from)::timestamp
             AT TIME ZONE 'UTC' AS since,
           coalesce(i.delisted_on, 'infinity')::timestamp AT TIME ZONE 'UTC' AS until,
           coalesce(c.loaded, '{}'::tstzmultirange)
             + coalesce((SELECT range_agg(p."window") FROM empty_proof p
                         WHERE p.series_id = s.id AND p.expires_at > now()), '{}') AS explained
    FROM series s
    JOIN instrument i ON i.id = s.instrument_id
    LEFT JOIN coverage c ON c.series_id = s.id
    WHERE i.symbol = wanted_symbol AND s.timeframe = wanted_timeframe AND s.event_type = 'bar'
), unit AS (
    SELECT w.id, v.n, v.starts, v.ends
    FROM wanted w
    CROSS JOIN LATERAL (
        SELECT CASE WHEN w.whole THEN g.starts ELSE greatest(min(vs.opens_at), w.since) END AS starts,
               least(CASE WHEN w.whole THEN g.ends ELSE max(vs.closes_at) END, w.until) AS ends,
               row_number() OVER (ORDER BY g.starts) AS n
        FROM venue_session vs
        CROSS JOIN LATERAL (
            SELECT lower_bound AT TIME ZONE 'UTC' AS starts,
                   CASE w.timeframe
                        WHEN '1w' THEN lower_bound + interval '7 days'
                        WHEN '1mo' THEN lower_bound + interval '1 month'
                        ELSE lower_bound + interval '1 day' END AT TIME ZONE 'UTC' AS ends
            FROM (SELECT CASE w.timeframe
                         WHEN '1w' THEN date_trunc('week', vs.label::timestamp)
                         WHEN '1mo' THEN date_trunc('month', vs.label::timestamp)
                         ELSE vs.label::timestamp END AS lower_bound) b
        ) g
        WHERE vs.venue = w.venue
          -- A session may open in the evening before its date.
          AND vs.label >= (w.since AT TIME ZONE 'UTC')::date - 1
          AND CASE WHEN w.whole THEN g.starts >= w.since AND g.starts < w.until
                   ELSE vs.closes_at > w.since AND vs.opens_at < w.until END
        GROUP BY g.starts, g.ends
        HAVING max(vs.closes_at) <= now()
    ) v
), hole AS (
    SELECT u.id, u.n, u.starts, u.ends,
           CASE WHEN EXISTS (SELECT 1 FROM slice d WHERE d.series_id = u.id AND d.state = 'dead'
                             AND d."window" && tstzrange(u.starts, u.ends)) THEN 'failed'
                WHEN EXISTS (SELECT 1 FROM missing_session m WHERE m.series_id = u.id
                             AND m."window" && tstzrange(u.starts, u.ends)) THEN 'missing'
                ELSE 'unknown' END AS kind
    FROM unit u JOIN wanted w ON w.id = u.id
    WHERE NOT w.explained @> tstzrange(u.starts, u.ends)
), island AS (
    SELECT h.*, h.n - row_number() OVER (PARTITION BY h.id, h.kind ORDER BY h.n) AS grp FROM hole h
)
SELECT w.provider, w.adjustment, w.hours, w.anchor, w.id, min(x.starts), max(x.ends), count(*), x.kind
FROM island x JOIN wanted w ON w.id = x.id
GROUP BY w.provider, w.adjustment, w.hours, w.anchor, w.id, x.kind, x.grp
ORDER BY w.provider, w.id, min(x.starts)
$$;
