"""Where LangGraph keeps what the agents remember of a thread.

LangGraph's own savers, one file for each place, and what stands in front of them.
"""
