"""Whether generated images give photographs away: copies, membership, and the gate."""
