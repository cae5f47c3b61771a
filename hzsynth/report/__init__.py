"""Building blocks for pictures and pages: plots, contact sheets, tables, the HTML report."""
