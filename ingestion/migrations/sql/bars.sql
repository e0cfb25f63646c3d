-- The bar table: narrow keys, no foreign keys, one partition a year.
-- Column order puts the fixed-width NOT NULL columns first, so that rows carry no padding.
CREATE TABLE bar (
    ts         timestamptz      NOT NULL,
    known_from timestamptz      NOT NULL,
    attempt_id bigint           NOT NULL,
    open       double precision NOT NULL,
    high       double precision NOT NULL,
    low        double precision NOT NULL,
    close      double precision NOT NULL,
    series_id  integer          NOT NULL,
    sequence   integer          NOT NULL,
    final      boolean          NOT NULL,
    trades     integer,
    volume     double precision,
    vwap       double precision,
    PRIMARY KEY (series_id, ts, sequence)
) PARTITION BY RANGE (ts);

CREATE TABLE bar_before_1990 PARTITION OF bar
    FOR VALUES FROM (MINVALUE) TO ('1990-01-01 00:00:00+00');

DO $$
BEGIN
    FOR y IN 1990..2030 LOOP
        EXECUTE format(
            'CREATE TABLE bar_y%s PARTITION OF bar FOR VALUES FROM (%L) TO (%L)',
            y, make_timestamptz(y, 1, 1, 0, 0, 0, 'UTC'), make_timestamptz(y + 1, 1, 1, 0, 0, 0, 'UTC'));
    END LOOP;
END $$;

-- Superseded versions of final bars; known_from to known_to is when each was the truth.
CREATE TABLE bar_revision (
    ts         timestamptz      NOT NULL,
    known_from timestamptz      NOT NULL,
    attempt_id bigint           NOT NULL,
    open       double precision NOT NULL,
    high       double precision NOT NULL,
    low        double precision NOT NULL,
    close      double precision NOT NULL,
    series_id  integer          NOT NULL,
    sequence   integer          NOT NULL,
    final      boolean          NOT NULL,
    trades     integer,
    volume     double precision,
    vwap       double precision,
    known_to   timestamptz      NOT NULL,
    PRIMARY KEY (series_id, ts, sequence, known_from),
    CHECK (known_from < known_to)
);
