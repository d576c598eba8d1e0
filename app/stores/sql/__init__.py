"""Every store on an SQL database: SQLite now, any that SQLAlchemy's asyncio knows later."""
