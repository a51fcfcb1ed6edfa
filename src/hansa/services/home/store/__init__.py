"""Every SQL statement of home; they take sets, and lock rows in the order of their keys."""
