"""The independent cities of the league: each service keeps its own tables and is asked through its contract only."""
