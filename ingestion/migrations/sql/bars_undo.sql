DROP TABLE bar_revision;
DROP TABLE bar;
