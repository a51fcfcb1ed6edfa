"""Tables with shard keys, transactions, migrations, and two engines behind one port: SQLite and PostgreSQL."""
