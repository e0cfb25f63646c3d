DROP FUNCTION coverage_gaps(text, text, integer);
DROP VIEW bars_best;
DROP VIEW bars;
