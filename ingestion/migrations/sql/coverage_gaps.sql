-- The holes of every series of a symbol over the last N days: expected sessions (weeks, months)
-- that are over and neither loaded nor explained by an unexpired proof. Neighbouring sessions of one
-- kind are one row; gap_end is exclusive. Kinds: failed (a dead slice lies there), refused (rows
-- came, and none could be stored), missing (the provider was asked and had nothing), unknown (not
-- asked, or not yet). Expected is what lies in the N days, in the listing of the instrument, and in
-- the dates on which the provider has a name for it; sessions by their date, and all only as far as
-- they lie in there.
--
-- The same arithmetic as ingestion.domain: intraday bars begin at the open of each part of a
-- session, or at the full step of the venue's clock before it; a bar that began in one part runs on
-- into the next and is not begun again there. A session counts where a bar is promised in it, which
-- of extended hours are those of the regular ones.
CREATE OR REPLACE FUNCTION coverage_gaps(wanted_symbol text, wanted_timeframe text, days integer)
RETURNS TABLE (provider text, adjustment text, hours text, anchor text, series_id integer,
               gap_start timestamptz, gap_end timestamptz, sessions bigint, kind text)
LANGUAGE sql STABLE AS $$
WITH wanted AS (
    SELECT s.id, s.provider, s.adjustment, s.hours, s.anchor, s.timeframe, i.venue,
           s.timeframe IN ('1d', '1w', '1mo') AS whole,
           CASE s.timeframe WHEN '1m' THEN 60 WHEN '5m' THEN 300 WHEN '15m' THEN 900
                            WHEN '30m' THEN 1800 WHEN '1h' THEN 3600 ELSE 14400 END AS step,
           (now() AT TIME ZONE 'UTC')::date - days AS first_day,
           s.hours = 'extended' AND EXISTS (
               SELECT 1 FROM venue_session o WHERE o.venue = i.venue
                  AND (o.earliest_at < o.opens_at OR o.latest_at > o.closes_at)) AS wide,
           datemultirange(daterange(i.listed_from, i.delisted_on)) * coalesce(
               (SELECT range_agg(p.valid) FROM provider_symbol p
                WHERE p.provider = s.provider AND p.instrument_id = i.id AND NOT isempty(p.valid)),
               datemultirange(daterange(NULL, NULL))) AS life,
           coalesce(c.loaded, '{}'::tstzmultirange)
             + coalesce((SELECT range_agg(p."window") FROM empty_proof p
                         WHERE p.series_id = s.id AND p.expires_at > now()), '{}') AS explained
    FROM series s
    JOIN instrument i ON i.id = s.instrument_id
    LEFT JOIN coverage c ON c.series_id = s.id
    WHERE i.symbol = wanted_symbol AND s.timeframe = wanted_timeframe AND s.event_type = 'bar'
), piece AS (
    SELECT w.id, coalesce(lower(l), '-infinity') AS born, coalesce(upper(l), 'infinity') AS gone,
           greatest(lower(l), w.first_day)::timestamp AT TIME ZONE 'UTC' AS since,
           coalesce(upper(l), 'infinity')::timestamp AT TIME ZONE 'UTC' AS until
    FROM wanted w CROSS JOIN LATERAL unnest(w.life) l
    WHERE upper(l) IS NULL OR upper(l) > w.first_day
), part AS (
    SELECT w.id, w.anchor, w.step, vs.label, k.promised,
           extract(epoch FROM lower(t))::bigint AS opens,
           extract(epoch FROM upper(t))::bigint AS closes,
           mod(extract(epoch FROM lower(t))::bigint + vs.utc_offset, w.step) AS into_step
    FROM wanted w
    -- A session may open in the evening before its date, and run on from the one before.
    JOIN venue_session vs ON vs.venue = w.venue AND vs.label >= w.first_day - 14
    CROSS JOIN LATERAL (
        SELECT tstzmultirange(tstzrange(vs.opens_at, vs.closes_at)) - vs.halts
                 - CASE WHEN vs.break_start IS NULL THEN '{}'
                        ELSE tstzmultirange(tstzrange(vs.break_start, vs.break_end)) END AS regular
    ) r
    CROSS JOIN LATERAL (VALUES
        (true, r.regular),
        (false, CASE WHEN NOT w.wide THEN r.regular
                     WHEN w.anchor = 'clock'
                     THEN tstzmultirange(tstzrange(vs.earliest_at, vs.latest_at))
                     ELSE r.regular + tstzmultirange(tstzrange(vs.earliest_at, vs.opens_at),
                                                     tstzrange(vs.closes_at, vs.latest_at)) END)
    ) AS k(promised, parts)
    CROSS JOIN LATERAL unnest(k.parts) t
    WHERE NOT w.whole
), segment AS (
    SELECT p.*, CASE p.anchor WHEN 'open' THEN p.opens ELSE p.opens - p.into_step + p.step * (
               (greatest(0, lag(p.closes) OVER before - p.opens + p.into_step) + p.step - 1) / p.step
           ) END AS starts
    FROM part p
    WINDOW before AS (PARTITION BY p.id, p.promised ORDER BY p.opens)
), session AS (
    -- The first stamp in the piece of each segment that has one.
    SELECT s.id, s.label, s.promised, s.closes, e.born, e.until,
           s.starts + s.step * ((greatest(0, ceil(extract(epoch FROM e.since))::bigint - s.starts)
                                 + s.step - 1) / s.step) AS first
    FROM segment s
    JOIN piece e ON e.id = s.id AND s.label >= e.born AND s.label < e.gone
), unit AS (
    SELECT id, born, to_timestamp(min(first) FILTER (WHERE NOT promised)) AS starts,
           least(to_timestamp(max(closes) FILTER (WHERE NOT promised)), until) AS ends
    FROM session
    WHERE first < closes AND to_timestamp(first) < until
    GROUP BY id, born, until, label
    HAVING bool_or(promised) AND bool_or(NOT promised)
       AND least(to_timestamp(max(closes) FILTER (WHERE NOT promised)), until) <= now()
  UNION ALL
    SELECT w.id, e.born, g.starts, least(g.ends, e.until)
    FROM wanted w
    JOIN piece e ON e.id = w.id
    JOIN venue_session vs ON vs.venue = w.venue AND vs.label >= w.first_day
    CROSS JOIN LATERAL (
        SELECT CASE w.timeframe WHEN '1w' THEN date_trunc('week', vs.label::timestamp)
                                WHEN '1mo' THEN date_trunc('month', vs.label::timestamp)
                                ELSE vs.label::timestamp END AS stamp,
               CASE w.timeframe WHEN '1w' THEN interval '7 days' WHEN '1mo' THEN interval '1 month'
                                ELSE interval '1 day' END AS length
    ) b
    CROSS JOIN LATERAL (
        SELECT b.stamp AT TIME ZONE 'UTC' AS starts, (b.stamp + b.length) AT TIME ZONE 'UTC' AS ends
    ) g
    WHERE w.whole AND g.starts >= e.since AND g.starts < e.until
    GROUP BY w.id, e.born, e.until, g.starts, g.ends
    HAVING max(vs.closes_at) <= now()
), numbered AS (
    SELECT u.*, row_number() OVER (PARTITION BY u.id, u.born ORDER BY u.starts) AS n FROM unit u
), hole AS (
    SELECT u.id, u.born, u.n, u.starts, u.ends,
           CASE WHEN EXISTS (SELECT 1 FROM slice d WHERE d.series_id = u.id AND d.state = 'dead'
                             AND d."window" && tstzrange(u.starts, u.ends)) THEN 'failed'
                ELSE coalesce(
                    (SELECT CASE min(m.looks) WHEN 0 THEN 'refused' ELSE 'missing' END
                     FROM missing_session m
                     WHERE m.series_id = u.id AND m."window" && tstzrange(u.starts, u.ends)
                     HAVING count(*) > 0), 'unknown') END AS kind
    FROM numbered u JOIN wanted w ON w.id = u.id
    WHERE NOT w.explained @> tstzrange(u.starts, u.ends)
), island AS (
    SELECT h.*, h.n - row_number() OVER (PARTITION BY h.id, h.born, h.kind ORDER BY h.n) AS grp
    FROM hole h
)
SELECT w.provider, w.adjustment, w.hours, w.anchor, w.id, min(x.starts), max(x.ends), count(*), x.kind
FROM island x JOIN wanted w ON w.id = x.id
GROUP BY w.provider, w.adjustment, w.hours, w.anchor, w.id, x.born, x.kind, x.grp
ORDER BY w.provider, w.id, min(x.starts)
$$;
