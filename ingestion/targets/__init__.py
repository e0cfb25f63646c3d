"""Where committed bars are delivered besides the bar table: one file per kind of target."""
